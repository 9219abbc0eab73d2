"""What the commands share: options, and how errors and warnings are told."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import click

from toolkit._files import TABLE_SUFFIXES
from toolkit.capture.reader import read
from toolkit.errors import CaptureWarning, ToolkitError
from toolkit.features import feature_names
from toolkit.hosts import Network, parse_networks
from toolkit.trace import Trace
from toolkit.windows import nanoseconds

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


Callback: TypeAlias = Callable[[click.Context, click.Parameter, Any], Any]
Load: TypeAlias = Callable[[str], Trace]
"""Reads a capture as the options say."""


def checked(parse: Callable[[Any], Any]) -> Callback:
    """Parse an option by a function of the library, whose complaint becomes the message of wrong usage."""

    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        try:
            return None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None

    return callback


def parse_clients(values: tuple[str, ...]) -> list[Network]:
    """Read the values of ``--client``: networks, with commas between."""
    return [network for value in values for network in parse_networks(value.split(","))]


def parse_duration(value: str) -> str:
    """Check a duration."""
    nanoseconds(value)
    return value


def parse_bandwidth(value: str) -> float | str:
    """Read a bandwidth in bytes, or ``auto``."""
    if value == "auto":
        return value
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise ValueError(f"must be a finite number of bytes above 0 or 'auto', got {value!r}")
    return number


def parse_size(value: str) -> int:
    """Read a number of bytes, such as ``5000000`` or ``10G``, which is 10 GiB."""
    found = re.fullmatch(r"([1-9][0-9]{0,17})([KMGT]?)", value, re.ASCII | re.IGNORECASE)
    if found is None:
        raise ValueError(f"must be a number of bytes above 0, or one with K, M, G or T behind, got {value!r}")
    return int(found[1]) << 10 * " KMGT".index(found[2].upper() or " ")


def parse_sets(value: str) -> list[str]:
    """Read names of feature sets, with commas between."""
    names = [name.strip() for name in value.split(",")]
    feature_names(names)
    return names


def parse_table(value: str) -> Path:
    """Check where a table is to be written."""
    path = Path(value)
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise ValueError(f"must end in {' or '.join(TABLE_SUFFIXES)}, got {value!r}")
    if path.suffix.lower() == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise ValueError("Parquet needs pyarrow: pip install 'traffic-toolkit[parquet]'")
    return path


FILE = click.argument("file", type=click.Path())
OUTPUT = click.option(
    "-o",
    "--output",
    metavar="FILE",
    callback=checked(parse_table),
    help="Write the table here, as CSV or Parquet by its ending.",
)


TIME_WINDOW = click.option(
    "-w",
    "--time-window",
    metavar="DURATION",
    callback=checked(parse_duration),
    default="60s",
    show_default=True,
    help="Width of the time windows, with its unit.",
)
PACKETS = click.option(
    "-n",
    "--packets",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Packets in a window of a (client, target) pair.",
)


def client_option(required: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give the option ``--client``."""
    text = "Address or network of the clients, such as 10.0.0.0/24; may be given several times."
    return click.option(
        "-c",
        "--client",
        "clients",
        metavar="NET",
        callback=checked(parse_clients),
        multiple=True,
        required=required,
        help=text,
    )


def reading(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of reading a capture; it gets a `Load` as its argument `load`."""

    @click.option(
        "--strict",
        is_flag=True,
        help="Fail at the first fault of the capture instead of a warning "
        "(payload of nothing but zeros, which may be so, stays a warning).",
    )
    @click.option(
        "--max-decompressed",
        metavar="BYTES",
        callback=checked(parse_size),
        help="Most bytes that a compressed capture may grow to, such as 10G, which is 10 GiB; by default 200 times the "
        "file, but 1 GiB at least and 64 GiB at most.",
    )
    @functools.wraps(command)
    def with_load(*arguments: Any, strict: bool, max_decompressed: int | None, **options: Any) -> None:
        def load(path: str) -> Trace:
            if path == "-" and not Path(path).exists():
                name = click.get_current_context().info_name
                raise click.UsageError(
                    f"- is no file; for standard input: toolkit {name} /dev/stdin < FILE "
                    "(not from a pipe, of which nothing can be read twice: write it to a file first)"
                )
            return read(path, strict=strict, progress=True, max_decompressed=max_decompressed)

        command(*arguments, load=load, **options)

    return with_load


@contextlib.contextmanager
def errors() -> Iterator[None]:
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
