"""How long the explorer takes to answer in JupyterLab in a real browser: from the key or the mouse to the new picture.

Wall-clock time of the browser: from the moment it has the key or the click until the picture that belongs to it has
been painted. That is checked at each: the description of the picture must name what was chosen.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from playwright.sync_api import sync_playwright

from benchmarks import traces
from benchmarks.report import Row
from tests.browser import pages
from tests.browser_bench import CHROMIUM, FLAGS, LAB, Server, opened_page

# Since the last input: when it was, and when the picture that came of it was on the screen.
_WATCH = """() => {
  const image = document.querySelector('img.toolkit-picture');
  window.painted = [];
  for (const kind of ['keydown', 'pointerdown', 'change'])
    document.addEventListener(kind, event => { window.asked = event.timeStamp; }, { capture: true });
  new MutationObserver(() => {
    const asked = window.asked;
    requestAnimationFrame(() => { // once it is decoded, before it is painted; the next frame begins after
      const channel = new MessageChannel();
      channel.port1.onmessage = () => window.painted.push([performance.now() - asked, image.alt, performance.now()]);
      channel.port2.postMessage(0);
    });
  }).observe(image, { attributes: true, attributeFilter: ['src'] });
}"""

# Run the first cell in a new kernel, then the second: from there until its picture is painted.
_FIRST = """async () => {
  const app = window.jupyterapp, panel = app.shell.currentWidget;
  const frame = () => new Promise(requestAnimationFrame);
  await app.commands.execute('notebook:clear-all-cell-outputs');
  await panel.sessionContext.session.kernel.restart();
  panel.content.deselectAll();
  panel.content.activeCellIndex = 0;
  await app.commands.execute('notebook:run-cell');
  panel.content.activeCellIndex = 1;
  const asked = performance.now();
  app.commands.execute('notebook:run-cell');
  while (!document.querySelector("img.toolkit-picture[alt^='lengths']")) await frame();
  await frame();
  return performance.now() - asked;
}"""

_TABS = ("Lengths", "Intervals", "Entropy", "Windows", "Features")


class _Session:
    """A page with an explorer in it."""

    def __init__(self, page: Any, lab: Server, path: Path) -> None:
        self.page = page
        read = f"import toolkit\ntrace = toolkit.read({str(path)!r})"
        pages.open_notebook(page, lab, path.stem, read, f"toolkit.explore(trace, clients={traces.CLIENTS!r})")

    def begin(self) -> None:
        """Wait for the first view, and be ready to measure."""
        self.page.locator("img.toolkit-picture[alt^=lengths]").wait_for(timeout=120_000)
        self.page.evaluate(_WATCH)

    def answer(self, act: Callable[[], object], names: str) -> float:
        """Do something that leads to one picture; give the milliseconds to it. Its description must hold `names`."""
        self.page.evaluate("() => { window.painted = []; }")
        act()
        self.page.wait_for_function("() => window.painted.length", timeout=120_000, polling=20)
        took, description, _ = self.page.evaluate("() => window.painted[0]")
        if names not in description:
            raise RuntimeError(f"expected a picture of {names!r}, got {description!r}")
        return float(took)

    def show(self, tab: str) -> None:
        """Show a tab."""
        self.page.get_by_role("tab", name=tab, exact=True).click()
        self.page.locator(f"img.toolkit-picture[alt^={tab.lower()}]").wait_for(timeout=120_000)


@contextmanager
def _browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


def explorer(quick: bool) -> Iterator[Row]:
    """Measure the explorer at a million packets, and its bandwidth at ten million."""
    few = traces.capture(traces.LARGE, 100_000 if quick else 1_000_000)
    with tempfile.TemporaryDirectory(prefix="toolkit-bench-") as folder, _browser() as browser:
        server = Server(Path(folder) / "lab", LAB, "/api/status")
        try:
            yield from _million(browser, server, few, quick)
            if not quick:
                many = traces.capture(traces.TINY, 10_000_000)
                yield from _ten_million(browser, server, many)
        finally:
            server.stop()


def _million(browser: Any, server: Server, path: Path, quick: bool) -> Iterator[Row]:
    size = "10^5" if quick else "10^6"
    with opened_page(browser) as page:
        session = _Session(page, server, path)
        session.begin()
        yield from _bandwidth(session, size, 20 if quick else 120, (100, 200))
        yield _dragged(session, size)
        yield from _windows(session, size, 4 if quick else 12)
        yield from _clients(session, size, 4 if quick else 12)
        yield _first_view(session, size, 2 if quick else 5)
        pages.stop_kernels(page)


def _ten_million(browser: Any, server: Server, path: Path) -> Iterator[Row]:
    with opened_page(browser) as page:
        page.set_default_timeout(300_000)
        session = _Session(page, server, path)
        session.begin()
        yield from _bandwidth(session, "10^7", 120, (None, 200))
        pages.stop_kernels(page)


def _row(what: str, values: list[float], target: float | None, unit: str = "ms") -> Row:
    detail = f"wall clock, n = {len(values)}, {min(values):,.3g} to {max(values):,.3g}, load {os.getloadavg()[0]:.2f}"
    return Row("explorer", what, median(values), unit, target, detail=detail, samples={"answers": values})


def _bandwidth(session: _Session, size: str, repeats: int, targets: tuple[float | None, float]) -> Iterator[Row]:
    """Move the slider of the bandwidth by keys: up, and back."""
    handle = session.page.locator(".toolkit-bandwidth .noUi-handle")
    number = session.page.locator(".toolkit-bandwidth-number input")
    values = []
    for i in range(repeats + 5):
        took = session.answer(lambda key="ArrowRight" if i % 80 < 40 else "ArrowLeft": handle.press(key), "bandwidth")
        _, description, _ = session.page.evaluate("() => window.painted.at(-1)")
        if f"bandwidth {float(number.input_value()):g}:" not in description:
            raise RuntimeError(f"the picture {description!r} is not that of bandwidth {number.input_value()}")
        if i >= 5:
            values.append(took)
    what = f"{size} packets: bandwidth slider to new histogram"
    yield _row(f"{what}, median", values, targets[0])
    high = quantiles(values, n=20)[-1]
    yield Row("explorer", f"{what}, 95th percentile", high, "ms", targets[1], detail="of the same")


def _dragged(session: _Session, size: str) -> Row:
    """Drag the slider for some seconds, a step each 16 ms."""
    page = session.page
    page.evaluate("() => { window.painted = []; }")
    box = page.locator(".toolkit-bandwidth .noUi-handle").bounding_box()
    track = page.locator(".toolkit-bandwidth .noUi-base").bounding_box()
    height = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, height)
    page.mouse.down()
    for i in range(200):
        page.mouse.move(track["x"] + track["width"] * (0.3 + 0.4 * abs(i % 100 - 50) / 50), height)
        page.wait_for_timeout(16)
    page.mouse.up()
    page.wait_for_timeout(1_000)
    times = [time for _, _, time in page.evaluate("() => window.painted")]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    return Row(
        "explorer", f"{size} packets: pictures a second while the slider is dragged", 1e3 / median(gaps), "/s",
        detail=f"{len(times)} pictures", samples={"gaps": gaps},
    )  # fmt: skip


def _windows(session: _Session, size: str, repeats: int) -> Iterator[Row]:
    """Type other windows."""
    box = session.page.get_by_label("Packets a window", exact=True)
    for tab in ("Intervals", "Windows", "Features"):
        session.show(tab)
        values = []
        for i in range(repeats):
            box.fill(str(40 + i))
            values.append(session.answer(lambda: box.press("Enter"), tab.lower()))
        yield _row(f"{size} packets: packets per window to new picture, {tab}", values[1:], 500)
        box.fill("50")
        session.answer(lambda: box.press("Enter"), tab.lower())


def _clients(session: _Session, size: str, repeats: int) -> Iterator[Row]:
    """Choose other clients by mouse."""
    options = session.page.locator(".toolkit-clients select option")
    turn = itertools.count()
    for tab in _TABS:
        session.show(tab)
        values = []
        for _ in range(repeats):
            option = options.nth(next(turn) % 3)
            values.append(session.answer(option.click, f"clients {option.inner_text().split()[0]},"))
        yield _row(f"{size} packets: another client to new picture, {tab}", values[1:], 500)


def _first_view(session: _Session, size: str, repeats: int) -> Row:
    """Run the cell in a new kernel that has read the capture; give the seconds until its picture is there."""
    values = [float(session.page.evaluate(_FIRST)) / 1e3 for _ in range(repeats)]
    return _row(f"{size} packets, read already: first view", values, 3, "s")
