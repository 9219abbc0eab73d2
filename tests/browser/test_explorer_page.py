"""The explorer in JupyterLab and as a page of Voila, used by mouse and keyboard."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pages import open_in_voila, open_notebook, picture, run_all, shot, stop_kernels

import toolkit

CELL = """import toolkit
explorer = toolkit.explore({name: toolkit.load_example(name) for name in ("obfs4", "https")})
explorer"""
TABS = ("Lengths", "Bandwidth", "Intervals", "Entropy", "Windows", "Features", "Packets", "Health")
OPENED = ("Choose", "Tune")  # from the beginning


@pytest.fixture
def expect() -> Any:
    expect = pytest.importorskip("playwright.sync_api").expect
    expect.set_options(timeout=15_000)  # a machine may be busy
    return expect


def alt(expect: Any, page: Any, pattern: str) -> None:
    """Wait until the picture that is shown is the one described."""
    expect(picture(page)).to_have_attribute("alt", re.compile(pattern))


def tab(page: Any, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def section(page: Any, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def status(page: Any) -> Any:
    """Give what is said of the view."""
    return page.locator(".toolkit-message").first


def said(page: Any) -> Any:
    """Give what is said of the last thing done."""
    return page.locator(".toolkit-message").nth(1)


def settle(page: Any) -> None:
    """Wait until nothing follows any more of a slider that was dragged: it would overwrite what is typed next."""
    before = None
    for _ in range(50):
        now = picture(page).get_attribute("alt"), page.get_by_label("Bandwidth (bytes)").input_value()
        if now == before and f"bandwidth {float(now[1]):g}:" in (now[0] or ""):
            return
        before = now
        page.wait_for_timeout(300)
    raise AssertionError(f"still changing: {before}")


def choose_clients(page: Any, expect: Any) -> None:
    """Choose another by mouse; type a network, wrong first."""
    page.locator(".toolkit-clients select option").nth(4).click()
    alt(expect, page, r"clients 10\.77\.0\.12, bandwidth")
    only = len(toolkit.load_example("obfs4").select(clients="10.77.0.12"))
    expect(status(page)).to_contain_text(f"obfs4: {only:,} packets")
    networks = page.locator(".toolkit-clients").get_by_label("Networks")
    expect(networks).to_have_value("10.77.0.12")
    networks.fill("10.77.0.0/33")
    expect(page.locator(".toolkit-clients .toolkit-wrong")).to_contain_text("10.77.0.0/33")
    alt(expect, page, r"clients 10\.77\.0\.12, bandwidth")  # as it was
    networks.fill("192.0.2.0/24")
    expect(status(page)).to_contain_text("no packets match in obfs4; the busiest hosts are 10.77.0.11 (533 packets)")
    expect(picture(page)).to_be_hidden()
    networks.fill("")
    networks.press_sequentially("10.77.0.0/24", delay=30)  # 10.77.0.0 is one as well: it must not flash by
    alt(expect, page, r"clients 10\.77\.0\.0/24, bandwidth 3: 91 clusters")
    expect(page.locator(".toolkit-clients select option:checked")).to_have_count(3)


def choose_bandwidth(page: Any, expect: Any) -> None:
    """By keyboard, by dragging, by typing (wrong first), by a click into the sweep."""
    handle = page.get_by_role("slider", name="Bandwidth", exact=True)
    handle.press("ArrowRight")
    alt(expect, page, r"bandwidth 3\.\d+: ")
    box, track = handle.bounding_box(), page.locator(".toolkit-bandwidth .noUi-base").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(track["x"] + track["width"] * 0.75, box["y"] + box["height"] / 2, steps=12)
    page.mouse.up()
    alt(expect, page, r"bandwidth 2\d(\.\d)?: ")
    settle(page)
    number = page.get_by_label("Bandwidth (bytes)")
    number.fill("7.5")
    number.press("Enter")
    alt(expect, page, r"bandwidth 7\.5: ")
    number.fill("1000")
    number.press("Enter")
    expect(said(page)).to_have_text("the bandwidth must be from 0.5 to 100 bytes, got 1000.0")
    expect(number).to_have_value("7.5")
    tab(page, "Bandwidth")
    alt(expect, page, "^bandwidth of obfs4")
    size = picture(page).bounding_box()
    picture(page).click(position={"x": size["width"] * 0.3, "y": size["height"] * 0.5})
    alt(expect, page, r"bandwidth [1-4](\.\d+)?: ")


def look_at_tabs(page: Any, expect: Any, name: str) -> None:
    """Go through the tabs by keys, and keep a screenshot of each."""
    tab(page, "Lengths")
    for each in TABS[:6]:
        alt(expect, page, f"^{each.lower()} of obfs4")
        expect(page.get_by_role("tab", name=each, exact=True)).to_have_attribute("aria-selected", "true")
        shot(page, f"{name}-{each.lower()}")
        page.keyboard.press("ArrowRight")
    rows = page.locator(".toolkit-table tbody tr")
    expect(rows).to_have_count(50)
    page.get_by_role("button", name="Later").click()
    expect(status(page)).to_contain_text("page 2 of 29")
    shot(page, f"{name}-packets")
    tab(page, "Health")
    expect(rows).to_have_count(16)
    shot(page, f"{name}-health")


def keep(page: Any, expect: Any, folder: Path) -> None:
    """Copy the code; save figure, table and state; load the state."""
    tab(page, "Lengths")
    number = page.get_by_label("Bandwidth (bytes)")
    number.fill("3")
    number.press("Enter")
    alt(expect, page, "^lengths of obfs4.* bandwidth 3: ")
    section(page, "Keep")
    page.get_by_role("button", name="Copy code").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    code = page.evaluate("() => navigator.clipboard.readText()")
    names: dict[str, Any] = {}
    exec(code, names)
    assert len(names["shown"]) == 91
    page.get_by_label("Name", exact=True).fill("mine")
    page.get_by_role("button", name="Save figure").click()
    expect(said(page)).to_contain_text("written: figures/mine.json")
    record = json.loads((folder / "figures" / "mine.json").read_text())
    assert record["call"] == code
    assert (folder / "figures" / "mine.pdf").read_bytes().startswith(b"%PDF")
    page.get_by_role("button", name="Save table").click()
    expect(said(page)).to_contain_text("written: mine.csv")
    table = pd.read_csv(folder / "mine.csv", index_col="cluster")
    pd.testing.assert_frame_equal(table, names["shown"].to_frame(), check_index_type=False)
    page.get_by_role("button", name="Save state").click()
    expect(said(page)).to_contain_text("written: mine.state.json")
    tab(page, "Entropy")
    alt(expect, page, "^entropy of obfs4")
    page.get_by_role("button", name="Load state").click()
    alt(expect, page, "^lengths of obfs4")
    page.get_by_label("Name", exact=True).fill("other")
    page.get_by_role("button", name="Load state").click()
    expect(said(page)).to_have_text("other.state.json: no such file; there are mine")


def test_a_session_in_jupyterlab(page: Any, lab: Any, expect: Any) -> None:
    open_notebook(page, lab, "session", CELL)
    alt(expect, page, "^lengths of obfs4, clients 10.77.0.11, 10.77.0.12, 10.77.0.13, bandwidth 3: 91 clusters of ")
    choose_clients(page, expect)
    choose_bandwidth(page, expect)
    look_at_tabs(page, expect, "lab")
    keep(page, expect, lab.root)
    tab(page, "Health")
    expect(status(page)).to_contain_text("of 16 things looked for were found")
    # run again: the choices are kept
    run_all(page)
    expect(status(page)).to_contain_text("of 16 things looked for were found")
    expect(page.locator(".toolkit-clients").get_by_label("Networks")).to_have_value("10.77.0.0/24")
    stop_kernels(page)


def test_a_session_in_voila(page: Any, voila: Any, expect: Any) -> None:
    open_in_voila(page, voila, "session", CELL)
    picture(page).wait_for(timeout=60_000)
    alt(expect, page, "^lengths of obfs4, clients 10.77.0.11, 10.77.0.12, 10.77.0.13, bandwidth 3: 91 clusters of ")
    choose_clients(page, expect)
    choose_bandwidth(page, expect)
    look_at_tabs(page, expect, "voila")
    keep(page, expect, voila.root)


def test_jupyterlab_leaves_the_keys_to_the_explorer(page: Any, lab: Any, expect: Any) -> None:
    open_notebook(page, lab, "keys", CELL)
    alt(expect, page, "^lengths of obfs4")
    for name in ("Choose", "Targets", "Tune", "Keep"):
        heading = page.get_by_role("button", name=name, exact=True)
        expect(heading).to_have_attribute("aria-expanded", str(name in OPENED).lower())
        heading.focus()
        page.keyboard.press("Enter")
        expect(heading).to_have_attribute("aria-expanded", str(name not in OPENED).lower())
    section(page, "Choose")
    page.get_by_role("tab", name="Lengths", exact=True).focus()
    for key in ("x", "b", "d", "d"):  # in JupyterLab: cut the cell, add one, delete
        page.keyboard.press(key)
    clients = page.locator(".toolkit-clients select")
    clients.locator("option").first.click()
    alt(expect, page, r"clients 10\.77\.0\.11, bandwidth")
    page.wait_for_timeout(500)  # the list is drawn anew
    expect(clients).to_be_focused()
    page.keyboard.press("ArrowDown")
    alt(expect, page, r"clients 10\.77\.1\.1, ")
    assert page.locator(".jp-Notebook .jp-Cell").count() == 1
    stop_kernels(page)


@pytest.mark.parametrize("width", [640, 1200])
@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_at_both_widths_in_both_themes(width: int, theme: str, page: Any, lab: Any, expect: Any) -> None:
    page.set_viewport_size({"width": width, "height": 1400})
    open_notebook(page, lab, f"look-{width}-{theme.split()[1].lower()}", CELL, theme=theme)
    alt(expect, page, "^lengths of obfs4")
    for name in ("Targets", "Keep", "Single features"):
        section(page, name)
    for each in TABS:
        tab(page, each)
        expect(page.get_by_role("tab", name=each, exact=True)).to_have_attribute("aria-selected", "true")
        if each == "Packets":
            expect(status(page)).to_contain_text("page 1 of 29")
        elif each == "Health":
            expect(status(page)).to_contain_text("things looked for")
        else:
            alt(expect, page, f"^{each.lower()} of obfs4")
        shot(page, f"{width}-{theme.split()[1].lower()}-{each.lower()}")
        # nothing stands out of the page at its side; wide tables scroll in their box
        inside = page.evaluate(
            """() => { const all = document.querySelector('.toolkit-explorer');
            const shown = [...all.querySelectorAll('img, select, input, button, pre, .toolkit-table')]
                .filter(e => e.getClientRects().length);
            const right = all.getBoundingClientRect().right + 1;
            return shown.length > 30 && shown.every(e => e.getBoundingClientRect().right <= right); }"""
        )
        assert inside
    # narrow: the picture is above what tunes it
    tab(page, "Lengths")
    alt(expect, page, "^lengths of obfs4")
    above = picture(page).bounding_box()["y"] < page.locator(".toolkit-side").bounding_box()["y"]
    assert above == (width == 640)
    stop_kernels(page)


def test_every_control_has_a_label(page: Any, lab: Any, expect: Any) -> None:
    open_notebook(page, lab, "labels", CELL)
    alt(expect, page, "^lengths of obfs4")
    for name in ("Targets", "Keep", "Single features"):
        section(page, name)
    for label in (
        "Capture", "Compared with", "Search", "Clients", "Targets", "Networks", "Protocol", "from (s)", "to (s)",
        "Bandwidth (bytes)", "Longest (bytes)", "Clusters coloured", "Time window (s)", "Packets a window",
        "Keep windows that are not full", "entropy", "Single features", "Code", "Name", "Venue", "Columns", "Table as",
    ):  # fmt: skip
        expect(page.get_by_label(label, exact=True).locator("visible=true").first).to_be_visible()
    for slider in ("Time (s): from", "Time (s): to", "Bandwidth"):
        expect(page.get_by_role("slider", name=slider, exact=True)).to_be_visible()
    # nothing that takes a key is without a name
    nameless = page.evaluate(
        """() => [...document.querySelector('.toolkit-explorer')
            .querySelectorAll('button, input, select, textarea, pre, [role=slider]')]
        .filter(e => e.getClientRects().length && !(e.textContent.trim() && e.tagName === 'BUTTON') && !e.labels?.length
            && !e.getAttribute('aria-label')).map(e => e.outerHTML.slice(0, 100))"""
    )
    assert nameless == []
    stop_kernels(page)
