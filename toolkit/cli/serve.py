"""The commands that show the explorer: in JupyterLab, and as a page of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from toolkit.cli.options import CONTEXT, client_option, errors
from toolkit.errors import CaptureError
from toolkit.hosts import Network

SAMPLE = "obfs4"

PORT = click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on, and no other.")
NO_BROWSER = click.option("--no-browser", is_flag=True, help="Open no browser, only print the address.")


@click.command(context_settings=CONTEXT)
@click.argument("files", type=click.Path(), nargs=-1)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Where the notebook is written, and JupyterLab starts; by default the current directory.",
)
@PORT
@NO_BROWSER
@click.option("--allow-root", is_flag=True, help="Let JupyterLab run as root, which it refuses by itself.")
def lab(files: tuple[str, ...], folder: Path, port: int | None, no_browser: bool, allow_root: bool) -> None:
    """Explore captures in JupyterLab, in a notebook of their own; without FILES a packaged one.

    The notebook is explore-NAME.ipynb, by the first of them. One that is there already is opened as it is.

    \b
    toolkit lab trace.pcap
    toolkit lab obfs4.pcap https.pcap
    toolkit lab trace.pcap --folder notes --port 8889 --no-browser
    """
    _need("jupyterlab", "JupyterLab", "notebooks")
    with errors():
        captures = [_capture(file) for file in files]
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve()
        notebook = _notebook(folder, captures)
    command = [sys.executable, "-P", "-m", "jupyterlab", f"--ServerApp.root_dir={folder}"]
    # not as an argument: the address that is printed would lead to an empty JupyterLab
    command += [f"--LabApp.default_url=/lab/tree/{quote(notebook.name)}"]
    command += ["--ServerApp.ip=127.0.0.1"]  # whatever a configuration says: captures are nobody else's business
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"] if port else []
    command += ["--no-browser"] if no_browser else []
    command += ["--allow-root"] if allow_root else []
    os.execv(command[0], command)  # signals, questions and the exit code are JupyterLab's own


@click.command(context_settings=CONTEXT)
@click.argument("files", type=click.Path(), nargs=-1)
@client_option(required=False)
@PORT
@NO_BROWSER
def app(files: tuple[str, ...], clients: list[Network], port: int | None, no_browser: bool) -> None:
    """Explore captures on a page of their own, without code; without FILES a packaged one.

    The page is served on this machine only, to those who have the address with its token, and needs no internet.
    Ctrl-C ends it.

    \b
    toolkit app trace.pcap --client 10.0.0.0/24
    """
    _need("voila", "Voila", "app")
    with errors():
        captures = [_capture(file) for file in files]
    from toolkit.voila import CAPTURES_VARIABLE, CLIENTS_VARIABLE
    from toolkit.voila.server import NOTEBOOK, serve

    for variable, value in (
        (CAPTURES_VARIABLE, json.dumps([str(capture) for capture in captures])),
        (CLIENTS_VARIABLE, ",".join(map(str, clients))),
    ):
        os.environ[variable] = value
    serve(
        NOTEBOOK,
        port=port,
        title=f"{', '.join(capture.name for capture in captures) or SAMPLE} – toolkit",
        announce=lambda url: click.echo(f"{url}\nCtrl-C ends it"),
        browser=not no_browser,
    )


def _need(module: str, name: str, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise click.ClickException(f"{name} is not installed: pip install 'traffic-toolkit[{extra}]'")


def _capture(file: str) -> Path:
    """Find a capture, so that a wrong name is told here and not in a browser; it is read by the notebook."""
    path = Path(os.path.abspath(file))  # not resolved: the explorer calls it what its owner does
    if not path.is_file():
        raise CaptureError(file, "a capture file", "a directory" if path.is_dir() else "no such file")
    with path.open("rb"):
        return path


def _notebook(folder: Path, captures: list[Path]) -> Path:
    """Write the notebook, or find the one there is."""
    # a folder with the captures in it can be moved
    shown = [str(each.relative_to(folder) if each.is_relative_to(folder) else each) for each in captures]
    # repr and no quotes of one's own: a name may hold anything
    what = repr(shown[0] if len(shown) == 1 else shown) if shown else f"toolkit.load_example({SAMPLE!r})"
    call = f"toolkit.explore({what})"
    name = (captures[0].name.split(".")[0] or "capture") if captures else SAMPLE
    path = folder / f"explore-{name}.ipynb"
    text = json.dumps(
        {
            "cells": [_cell("import", "import toolkit"), _cell("explore", call)],
            "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        },
        indent=1,
    )
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text + "\n")
        click.echo(f"wrote {path}: Run > Run All Cells")
    except FileExistsError:
        click.echo(f"{path} is there already, and is opened as it is")
        there = path.read_text("utf-8", errors="replace")
        for each in shown or [SAMPLE]:
            if json.dumps(each)[1:-1] not in there:
                click.echo(f"warning: {each} is not in it: give another --folder, or write {call}", err=True)
    sys.stdout.flush()  # before the process becomes another
    return path


def _cell(name: str, source: str) -> dict[str, Any]:
    return {
        "cell_type": "code", "execution_count": None, "id": name, "metadata": {}, "outputs": [], "source": source,
    }  # fmt: skip
