"""The command that draws: paper figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from toolkit.cli.options import (
    CONTEXT,
    PACKETS,
    TIME_WINDOW,
    Load,
    checked,
    client_option,
    errors,
    parse_bandwidth,
    reading,
)
from toolkit.errors import ToolkitError
from toolkit.hosts import Network

MOST = 7  # as many as there are colours
VENUES = ("usenix", "acm", "ieee", "lncs", "talk", "notebook")


def _number(value: str) -> float:
    number = parse_bandwidth(value)
    if isinstance(number, str):
        raise ValueError(f"must be a number of bytes, got {value!r}")
    return number


@click.command(context_settings=CONTEXT)
@click.argument("traces", nargs=-1, type=click.Path())
@click.option("-l", "--label", "labels", multiple=True, metavar="TEXT", help="What each capture is called, in turn.")
@client_option(required=False)
@click.option("--venue", type=click.Choice(VENUES), default="usenix", show_default=True, help="Size and font.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("figures"),
    show_default=True,
    help="Folder of the figures and their page index.md.",
)
@click.option("--only", multiple=True, metavar="NAME", help="One figure; may be given several times.")
@click.option(
    "-b",
    "--bandwidth",
    callback=checked(_number),
    metavar="BYTES",
    default="3",
    show_default=True,
    help="Radius of the mean shift of payload lengths, in bytes.",
)
@TIME_WINDOW
@PACKETS
@click.option(
    "--check", is_flag=True, help="Make nothing: say whether the figures there still come out of the captures."
)
@reading
def figures(
    traces: tuple[str, ...],
    labels: tuple[str, ...],
    clients: list[Network],
    venue: Any,
    output: Path,
    only: tuple[str, ...],
    bandwidth: float,
    time_window: str,
    packets: int,
    check: bool,
    load: Load,
) -> None:
    """Make the standard set of paper figures, or check it.

    The first capture is the one in question, the others are what it is compared with. Without captures, packaged ones
    are taken. Each figure is a PDF, a PNG, the data drawn as CSV, and a JSON that says where it comes from.

    \b
    toolkit figures
    toolkit figures obfs4.pcap web.pcap --label obfs4 --label web --client 10.0.0.0/24 --venue acm -o figures
    toolkit figures --check -o figures obfs4.pcap web.pcap
    """
    from toolkit import recipes, standard_figures  # with matplotlib, a second that the other commands do without
    from toolkit.connections import suggest_clients

    for name in only:
        if name not in recipes.RECIPES:
            raise click.UsageError(f"--only {name}: the figures are {', '.join(recipes.RECIPES)}")
    if labels and len(labels) != len(traces):
        raise click.UsageError(f"{len(traces)} captures need as many --label, got {len(labels)}")
    if len(traces) > MOST:
        raise click.UsageError(f"no more than {MOST} captures can be told apart in a figure, got {len(traces)}")
    few = [name for name in only if traces and recipes.RECIPES[name].fewest > len(traces)]
    if few:
        raise click.UsageError(f"--only {few[0]} compares: give {recipes.RECIPES[few[0]].fewest} captures or more")
    names = labels or tuple(Path(trace).name.split(".")[0] for trace in traces)
    if len(set(names)) < len(names):
        raise click.UsageError(f"the labels of the captures must differ: {', '.join(names)}; give each a --label")
    with errors():
        if check:
            _check(output, traces, only, load)
            return
        captures = [] if traces else recipes.sample_captures()
        for name, file in zip(names, traces, strict=True):
            trace = load(file)
            # where nobody opens a connection, everybody is looked at
            theirs = tuple(map(str, clients)) or suggest_clients(trace) or trace.hosts
            captures.append(recipes.Capture(name, trace, theirs))
        options = recipes.Options(bandwidth, time_window, packets)
        made = standard_figures.make_standard_figures(captures, venue=venue, options=options, folder=output, only=only)
        for written in made:
            click.echo(f"wrote {written.with_suffix('')}.{{pdf,png,csv,json}}")
        click.echo(f"wrote {output / 'index.md'}")


def _check(folder: Path, traces: tuple[str, ...], only: tuple[str, ...], load: Load) -> None:
    from toolkit.standard_figures import verify_figure

    found = sorted(path for path in folder.glob("*.json") if not only or path.stem in only)
    if not found:
        raise click.ClickException(f"no figure in {folder}")
    opened = [load(path) for path in traces]
    wrong = False
    for path in found:
        try:
            check = verify_figure(path, opened)
        except ToolkitError as error:  # one that is no figure shall not hide the others
            click.echo(str(error), err=True)
            wrong = True
            continue
        click.echo(str(check), err=not check.ok)
        wrong = wrong or not check.ok
    if wrong:
        raise click.exceptions.Exit(1)
