"""The command line: each command is a few calls that a notebook could make."""

from __future__ import annotations

import contextlib
import importlib.util
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import click

from toolkit._files import TABLE_SUFFIXES, atomically, write_table
from toolkit._version import __version__
from toolkit.capture.reader import read
from toolkit.errors import CaptureWarning, ToolkitError
from toolkit.features import client_features, feature_names
from toolkit.hosts import Network, parse_networks
from toolkit.lengths import LengthClusters, cluster_lengths, suggest_bandwidth
from toolkit.trace import Trace
from toolkit.windows import nanoseconds

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


Callback: TypeAlias = Callable[[click.Context, click.Parameter, Any], Any]


def _checked(parse: Callable[[Any], Any]) -> Callback:
    """Parse an option by a function of the library, whose complaint becomes the message of wrong usage."""

    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        try:
            return None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return callback


def _networks(values: tuple[str, ...]) -> list[Network]:
    return [network for value in values for network in parse_networks(value.split(","))]


def _duration(value: str) -> str:
    nanoseconds(value)
    return value


def _bandwidth(value: str) -> float | str:
    if value == "auto":
        return value
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise ValueError(f"must be a finite number of bytes above 0 or 'auto', got {value!r}")
    return number


def _sets(value: str) -> list[str]:
    names = [name.strip() for name in value.split(",")]
    feature_names(names)
    return names


def _table(value: str) -> Path:
    path = Path(value)
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise ValueError(f"must end in {' or '.join(TABLE_SUFFIXES)}, got {value!r}")
    if path.suffix.lower() == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ValueError("Parquet needs pyarrow: pip install 'traffic-toolkit[parquet]'")
    return path


_FILE = click.argument("file", type=click.Path())
_STRICT = click.option("--strict", is_flag=True, help="Fail at the first fault of the capture instead of a warning.")
_OUTPUT = click.option(
    "-o",
    "--output",
    metavar="FILE",
    callback=_checked(_table),
    help="Write the table here, as CSV or Parquet by its ending.",
)


def _client(required: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    text = "Address or network of the clients, such as 10.0.0.0/24; may be given several times."
    return click.option(
        "-c",
        "--client",
        "clients",
        metavar="NET",
        callback=_checked(_networks),
        multiple=True,
        required=required,
        help=text,
    )


@click.group(context_settings=_CONTEXT)
@click.version_option(__version__, prog_name="toolkit")
def main() -> None:
    """Look into packet captures as a censor could: lengths, timing and entropy by client and target.

    FILE is a pcap or pcapng capture, plain or compressed by gzip, zstd, xz or bzip2; its name plays no part.

    \b
    toolkit demo                                   what it does, on a packaged capture of obfs4
    toolkit info trace.pcap                        what is in a capture, and what is wrong with it
    toolkit clusters trace.pcap -c 10.0.0.0/24     which payload lengths belong together
    toolkit features trace.pcap -c 10.0.0.0/24 -o features.parquet

    Exit codes: 0, 1 for a capture that cannot be read or written results that cannot, 2 for wrong usage.
    """


@main.command(context_settings=_CONTEXT)
@_FILE
@_STRICT
def info(file: str, strict: bool) -> None:
    """Say what is in a capture: packets, hosts, times, protocols, and its health.

    \b
    toolkit info trace.pcap.gz
    """
    with _errors():
        trace = read(file, strict=strict, progress=True)
        _show(trace)


@main.command(context_settings=_CONTEXT)
@_FILE
@_client(required=False)
@click.option(
    "-b", "--bandwidth", metavar="BYTES", callback=_checked(_bandwidth), default="3", show_default=True,
    help="Radius of the mean shift; 'auto' takes the start of the longest plateau of the number of clusters.",
)  # fmt: skip
@click.option(
    "--protocol",
    type=click.Choice(["tcp", "udp"]),
    default="tcp",
    show_default=True,
    help="TCP payload lengths, or IP lengths of UDP packets.",
)
@click.option("--tls-only", is_flag=True, help="Only payloads that start a TLS record.")
@click.option("--min-length", type=click.IntRange(min=0), default=1, show_default=True, help="Leave out shorter ones.")
@click.option(
    "--max-length",
    type=click.IntRange(min=0),
    default=1300,
    show_default=True,
    help="Leave out longer ones: full segments would be the first cluster of any bulk transfer.",
)
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="Clusters to print.")
@_OUTPUT
@_STRICT
def clusters(
    file: str, clients: list[Network], bandwidth: float | str, protocol: Any, tls_only: bool, min_length: int,
    max_length: int, top: int, output: Path | None, strict: bool,
) -> None:  # fmt: skip
    """Cluster payload lengths by mean shift and print the largest clusters.

    \b
    toolkit clusters trace.pcap --client 10.0.0.0/24 --bandwidth 5
    toolkit clusters trace.pcap --protocol udp -o clusters.csv
    """
    if min_length > max_length:
        raise click.UsageError(f"--min-length {min_length} is above --max-length {max_length}")
    if tls_only and protocol == "udp":
        raise click.UsageError("--tls-only goes with --protocol tcp")
    with _errors():
        trace = read(file, strict=strict, progress=True)
        if clients:
            trace = trace.select(clients=clients)
        choice: dict[str, Any] = {
            "protocol": protocol, "tls_only": tls_only, "min_length": min_length, "max_length": max_length,
        }  # fmt: skip
        width = suggest_bandwidth(trace, **choice) if bandwidth == "auto" else float(bandwidth)
        found = cluster_lengths(trace, bandwidth=width, **choice)
        _show_clusters(found, top)
        if output is not None:
            write_table(found.to_frame(), output)
            click.echo(f"wrote {output}")


@main.command(context_settings=_CONTEXT)
@_FILE
@_client(required=True)
@click.option(
    "-w",
    "--time-window",
    metavar="DURATION",
    callback=_checked(_duration),
    default="60s",
    show_default=True,
    help="Width of the time windows, with its unit.",
)
@click.option(
    "-n",
    "--packets",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Packets in a window of a (client, target) pair.",
)
@click.option(
    "-f",
    "--features",
    metavar="SETS",
    callback=_checked(_sets),
    help="Sets, with commas between: entropy, interval, interval_bins, tcp_len, tcp_len_bins, psh. All if not given.",
)
@click.option(
    "--remainder",
    type=click.Choice(["drop", "keep"]),
    default="drop",
    show_default=True,
    help="What to do with the packets of a pair that fill no window.",
)
@_OUTPUT
@_STRICT
def features(
    file: str, clients: list[Network], time_window: str, packets: int, features: list[str] | None, remainder: Any,
    output: Path | None, strict: bool,
) -> None:  # fmt: skip
    """Compute the features of each window of packets, by client and target.

    Without an output file the table goes to standard output as CSV.

    \b
    toolkit features trace.pcap -c 10.0.0.0/24 --time-window 60s --packets 50 -o features.parquet
    toolkit features trace.pcap -c 10.0.0.5 --features entropy,psh > features.csv
    """
    with _errors():
        trace = read(file, strict=strict, progress=True)
        table = client_features(
            trace,
            clients,
            time_window=time_window,
            packet_window=packets,
            features=features,
            remainder=remainder,
        )
        if output is None:
            click.echo(table.to_csv(), nl=False)
            return
        write_table(table, output)
        click.echo(f"wrote {output}: {len(table):,} windows, {table.shape[1]} features")


@main.command(context_settings=_CONTEXT)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-output"),
    show_default=True,
    help="Folder for the table and the pictures.",
)
def demo(output: Path) -> None:
    """Go the whole way on a packaged capture of obfs4: summary, health, length clusters, features, two pictures."""
    from matplotlib.figure import Figure  # a second of imports that the other commands do without

    from toolkit.datasets import example
    from toolkit.plots import plot_interval_bins, plot_length_clusters

    with _errors():
        sample = example("obfs4")
        click.secho(f"The packaged capture 'obfs4': {sample.description}", bold=True)
        click.echo(f"clients: {', '.join(sample.clients)}\n")
        trace = read(sample.path)
        _show(trace)
        click.secho("\nPayload lengths that belong together", bold=True)
        found = cluster_lengths(trace)
        _show_clusters(found, 5)
        table = client_features(trace, sample.clients)
        click.secho("\nFeatures of each window of 50 packets within 60 s, by client and target", bold=True)
        shown = ["mean_entropy_up", "mean_interval_up", "top1_tcp_len_down", "push_ratio_up", "up_down_ratio"]
        click.echo(table[shown].head().to_string(float_format="{:.3f}".format))
        click.echo(f"... {len(table)} windows, {table.shape[1]} features")
        files = [
            output / name for name in ("obfs4-features.csv", "obfs4-length-clusters.png", "obfs4-interval-bins.png")
        ]
        write_table(table, files[0])
        figures = [Figure(figsize=(7, 3.5), layout="constrained") for _ in range(2)]
        plot_length_clusters(found, ax=figures[0].subplots())
        plot_interval_bins({"obfs4": table}, ax=figures[1].subplots())
        for figure, path in zip(figures, files[1:], strict=True):
            with atomically(path) as temporary:
                figure.savefig(temporary, dpi=200)
        click.secho("\nWritten", bold=True)
        for path in files:
            click.echo(f"  {path}")
        click.secho("\nWhere to go from here", bold=True)
        click.echo("  notebooks:         make lab   (JupyterLab on notebooks/01-first-look.ipynb)")
        click.echo("  your own capture:  .venv/bin/toolkit info FILE")
        click.echo("                     .venv/bin/toolkit clusters FILE --client 10.0.0.0/24")
        click.echo("                     .venv/bin/toolkit features FILE --client 10.0.0.0/24 -o features.csv")


def _show(trace: Trace) -> None:
    for name, value in trace.summary().items():
        click.echo(f"{name:>14}  {value}")
    click.secho("\nBusiest hosts", bold=True)
    click.echo(trace.top_hosts(5).to_string(float_format="{:.3f}".format))
    click.secho("\nHealth", bold=True)
    click.echo(str(trace.health()))


def _show_clusters(found: LengthClusters, top: int) -> None:
    click.echo(repr(found))
    if len(found):
        click.echo(found.to_frame().head(top).to_string(float_format="{:.3f}".format))


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """One line for what is wrong with a file; warnings of the capture as lines on the error stream."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", CaptureWarning)
        show = warnings.showwarning

        def line(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
            if issubclass(category, CaptureWarning):
                click.echo(f"warning: {message}", err=True)
            else:
                show(message, category, *rest, **more)

        warnings.showwarning = line
        try:
            yield
        except ToolkitError as error:
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:
            raise  # `toolkit ... | head`: click ends quietly
        except OSError as error:
            raise click.ClickException(f"{error.filename or 'output'}: {error.strerror or error}") from error
