"""What the tests do with a page of JupyterLab or Voila."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat

_READY = """() => {
  const context = window.jupyterapp?.shell?.currentWidget?.context;
  return !!(context?.isReady && context.sessionContext?.session?.kernel?.status === 'idle');
}"""


def write_notebook(path: Path, *cells: str) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


def open_in_voila(page: Any, voila: Any, name: str, *cells: str) -> None:
    """Write a notebook of these cells and open it as a page; that is filled while the cells run."""
    write_notebook(voila.root / f"{name}.ipynb", *cells)
    page.goto(f"{voila.url}/voila/render/{name}.ipynb?token={voila.token}", wait_until="commit")


def open_notebook(page: Any, lab: Any, name: str, *cells: str, theme: str = "") -> None:
    """Write a notebook of these cells, open it in JupyterLab and run it."""
    write_notebook(lab.root / f"{name}.ipynb", *cells)
    page.goto(f"{lab.url}/doc/tree/{name}.ipynb?reset&token={lab.token}", wait_until="domcontentloaded")
    page.wait_for_function(_READY, timeout=60_000)
    if theme:
        page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
    run_all(page)


def run_all(page: Any) -> None:
    """Run all cells; one that raises fails the test."""
    ran = page.evaluate("() => window.jupyterapp.commands.execute('notebook:run-all-cells')")
    assert ran is not False, "a cell raised"


def stop_kernels(page: Any) -> None:
    """End the kernels of JupyterLab: a page that is closed leaves its own running. Those of Voila end with it."""
    page.evaluate("() => window.jupyterapp.serviceManager.kernels.shutdownAll()")


def picture(page: Any) -> Any:
    """Give the picture of the explorer, whose alternative text says what it shows."""
    return page.locator("img.toolkit-picture")


def shot(page: Any, name: str) -> None:
    """Keep a screenshot of the page for those who want to look."""
    folder = Path(__file__).parent / "screenshots"
    folder.mkdir(exist_ok=True)
    page.screenshot(path=folder / f"{name}.png")
