"""The commands for a first look: what is in a capture, and the demonstration."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import click

from toolkit._files import atomically, write_table
from toolkit.capture.reader import read
from toolkit.capture.tshark import OTHERWISE, WiresharkError, find_tshark
from toolkit.cli.options import CONTEXT, FILE, Load, client_option, errors, reading
from toolkit.features import client_features
from toolkit.hosts import Network
from toolkit.lengths import LengthClusters, cluster_lengths
from toolkit.trace import Trace


@click.command(context_settings=CONTEXT)
@FILE
@reading
def info(file: str, load: Load) -> None:
    """Say what is in a capture: packets, hosts, times, protocols, and its health.

    \b
    toolkit info trace.pcap.gz
    """
    with errors():
        trace = load(file)
        _show(trace)
        click.secho("\nWireshark", bold=True)
        click.echo(engines_available())


@click.command(context_settings=CONTEXT)
@FILE
@client_option(required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The page to write; by default the name of the capture with .html.",
)
@reading
def report(file: str, clients: list[Network], output: Path | None, load: Load) -> None:
    """Write one HTML page about a capture: summary, health, charts, tables. It needs no network to be read.

    Without --client the hosts that open connections are taken for the clients, which the page says.

    \b
    toolkit report trace.pcap -o report.html
    toolkit report trace.pcap --client 10.0.0.0/24 -o report.html
    """
    from toolkit.report import write_report  # with matplotlib, a second that the other commands do without

    target = output or Path(f"{Path(file).stem}.html")
    if target.resolve() == Path(file).resolve():  # the name of a capture plays no part: it may end in .html
        raise click.UsageError(f"{target} is the capture itself: give another --output")
    with errors():
        write_report(load(file), target, clients=clients or None)
        click.echo(f"wrote {target}")


@click.command(context_settings=CONTEXT)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-output"),
    show_default=True,
    help="Folder for the table and the pictures.",
)
def demo(output: Path) -> None:
    """Go the whole way on a packaged capture of obfs4: summary, health, length clusters, features, charts."""
    from matplotlib.figure import Figure  # a second of imports that the other commands do without

    from toolkit.datasets import example
    from toolkit.overview import overview
    from toolkit.plots import plot_trace_overview
    from toolkit.report import write_report

    with errors():
        sample = example("obfs4")
        click.secho(f"The packaged capture 'obfs4': {sample.description}", bold=True)
        click.echo(f"clients: {', '.join(sample.clients)}\n")
        trace = read(sample.path)
        _show(trace)
        click.secho("\nPayload lengths that belong together", bold=True)
        found = cluster_lengths(trace)
        show_clusters(found, 5)
        table = client_features(trace, sample.clients)
        click.secho("\nFeatures of each window of 50 packets within 60 s, by client and target", bold=True)
        shown = ["mean_entropy_up", "mean_interval_up", "top1_tcp_len_down", "push_ratio_up", "up_down_ratio"]
        click.echo(table[shown].head().to_string(float_format="{:.3f}".format))
        click.echo(f"... {len(table)} windows, {table.shape[1]} features")
        files = [output / name for name in ("obfs4-features.csv", "obfs4-overview.png", "obfs4-report.html")]
        write_table(table, files[0])
        figure = Figure(figsize=(9, 9), layout="constrained")
        plot_trace_overview(overview(trace, sample.clients), figure=figure)
        with atomically(files[1]) as temporary:
            figure.savefig(temporary, dpi=150)
        write_report(trace, files[2], clients=sample.clients)
        click.secho("\nWritten", bold=True)
        for path in files:
            click.echo(f"  {path}")
        click.secho("\nWhere to go from here", bold=True)
        click.echo("  notebooks:         make lab   (JupyterLab on notebooks/01-explore.ipynb)")
        click.echo("  your own capture:  .venv/bin/toolkit lab FILE   (after make lab: the explorer, on your capture)")
        click.echo("                     .venv/bin/toolkit info FILE")
        click.echo("                     .venv/bin/toolkit report FILE -o report.html")
        click.echo("                     .venv/bin/toolkit clusters FILE --client 10.0.0.0/24")
        click.echo("                     .venv/bin/toolkit features FILE --client 10.0.0.0/24 -o features.csv")


def _show(trace: Trace) -> None:
    for name, value in trace.summary().items():
        click.echo(f"{name:>14}  {value}")
    click.secho("\nBusiest hosts", bold=True)
    click.echo(trace.top_hosts(5).to_string(float_format="{:.3f}".format))
    click.secho("\nHealth", bold=True)
    click.echo(str(trace.health()))


def engines_available() -> str:
    """Say which tshark and pyshark are there, for display filters, fields and the engines of those names."""
    try:
        found = find_tshark().name
    except WiresharkError as error:
        without = str(error).removesuffix(OTHERWISE)
        found = f"tshark: {without}; the native engine, which reads captures here, needs none"
    return f"{found}; pyshark {version('pyshark')}"


def show_clusters(found: LengthClusters, top: int) -> None:
    """Print the largest clusters."""
    click.echo(repr(found))
    if len(found):
        click.echo(found.to_frame().head(top).to_string(float_format="{:.3f}".format))
