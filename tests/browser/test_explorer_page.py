"""The explorer in JupyterLab, used by mouse and keyboard."""

from __future__ import annotations

import json
import re
from typing import Any

import pandas as pd
import pytest
from pages import open_notebook, picture, run_all, shot, stop_kernels

import toolkit

CELL = """import toolkit
explorer = toolkit.explore({name: toolkit.load_example(name) for name in ("obfs4", "https")})
explorer"""


@pytest.fixture
def expect() -> Any:
    return pytest.importorskip("playwright.sync_api").expect


def alt(expect: Any, page: Any, pattern: str) -> None:
    """Wait until the picture that is shown is the one described."""
    expect(picture(page)).to_have_attribute("alt", re.compile(pattern))


def tab(page: Any, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def section(page: Any, name: str) -> None:
    page.locator(".toolkit-side [class*='Collapse-header']", has_text=name).click()


def status(page: Any) -> Any:
    return page.locator(".toolkit-status")


def test_a_session(page: Any, lab: Any, expect: Any) -> None:
    open_notebook(page, lab, "session", CELL)
    alt(expect, page, "^lengths of obfs4, clients 10.77.0.11, 10.77.0.12, 10.77.0.13, bandwidth 3: 91 clusters$")
    shot(page, "lengths")

    # another client, by mouse
    page.locator(".toolkit-clients select option").nth(4).click()
    alt(expect, page, r"clients 10\.77\.0\.12, bandwidth")
    only = len(toolkit.load_example("obfs4").select(clients="10.77.0.12"))
    expect(status(page)).to_contain_text(f"obfs4: {only:,} packets")

    # a network, typed: wrong first
    networks = page.locator(".toolkit-clients").get_by_label("Networks")
    networks.fill("10.77.0.0/33")
    expect(page.locator(".toolkit-clients .toolkit-wrong")).to_contain_text("10.77.0.0/33")
    networks.fill("192.0.2.0/24")
    expect(status(page)).to_contain_text("no packets match in obfs4; the busiest hosts are 10.77.0.11 (533 packets)")
    expect(picture(page)).to_be_hidden()
    shot(page, "nothing")
    networks.fill("10.77.0.0/24")
    alt(expect, page, r"clients 10\.77\.0\.0/24, bandwidth 3: 91 clusters")

    # the bandwidth: by keyboard, by dragging, by clicking into the sweep
    section(page, "Tune")
    handle = page.locator(".toolkit-bandwidth .noUi-handle")
    handle.press("ArrowRight")
    alt(expect, page, r"bandwidth 3\.\d+: ")
    box, track = handle.bounding_box(), page.locator(".toolkit-bandwidth .noUi-base").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(track["x"] + track["width"] * 0.75, box["y"] + box["height"] / 2, steps=12)
    page.mouse.up()
    alt(expect, page, r"bandwidth 2\d(\.\d)?: ")
    shot(page, "tune")
    tab(page, "Bandwidth")
    alt(expect, page, "^bandwidth of obfs4")
    size = picture(page).bounding_box()
    picture(page).click(position={"x": size["width"] * 0.3, "y": size["height"] * 0.5})
    alt(expect, page, r"bandwidth [1-4](\.\d+)?: ")
    shot(page, "bandwidth")

    for name in ("Intervals", "Entropy", "Windows", "Features"):
        tab(page, name)
        alt(expect, page, f"^{name.lower()} of obfs4")
        shot(page, name.lower())
    tab(page, "Packets")
    expect(page.locator(".toolkit-table tbody tr")).to_have_count(50)
    page.get_by_role("button", name="Later").click()
    expect(status(page)).to_contain_text("page 2 of 29")
    shot(page, "packets")
    tab(page, "Health")
    expect(page.locator(".toolkit-table tbody tr")).to_have_count(15)
    shot(page, "health")

    # run again: the choices are kept
    run_all(page)
    expect(status(page)).to_contain_text("of 15 things looked for were found")
    stop_kernels(page)


def test_what_is_kept(page: Any, lab: Any, expect: Any) -> None:
    open_notebook(page, lab, "kept", CELL)
    alt(expect, page, "^lengths of obfs4")
    section(page, "Keep")
    page.get_by_role("button", name="Copy code").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    code = page.evaluate("() => navigator.clipboard.readText()")
    names: dict[str, Any] = {}
    exec(code, names)
    assert len(names["shown"]) == 91
    page.get_by_label("Name", exact=True).fill("mine")
    page.get_by_role("button", name="Save figure").click()
    expect(status(page)).to_contain_text("written: figures/mine.json")
    record = json.loads((lab.root / "figures" / "mine.json").read_text())
    assert record["call"] == code
    page.get_by_role("button", name="Save table").click()
    expect(status(page)).to_contain_text("written: mine.csv")
    table = pd.read_csv(lab.root / "mine.csv", index_col="cluster")
    pd.testing.assert_frame_equal(table, names["shown"].to_frame(), check_index_type=False)
    page.get_by_role("button", name="Save state").click()
    expect(status(page)).to_contain_text("written: mine.state.json")
    tab(page, "Entropy")
    alt(expect, page, "^entropy of obfs4")
    page.get_by_role("button", name="Load state").click()
    alt(expect, page, "^lengths of obfs4")
    shot(page, "keep")
    page.get_by_label("Name", exact=True).fill("no/such")
    page.get_by_role("button", name="Load state").click()
    expect(status(page).locator(".toolkit-failed")).to_contain_text("no/such.state.json")
    stop_kernels(page)


@pytest.mark.parametrize(("width", "theme"), [(640, ""), (1200, "JupyterLab Dark")])
def test_narrow_and_dark(width: int, theme: str, page: Any, lab: Any, expect: Any) -> None:
    page.set_viewport_size({"width": width, "height": 1400})
    open_notebook(page, lab, f"look{width}", CELL, theme=theme)
    alt(expect, page, "^lengths of obfs4")
    shot(page, f"{width} {theme or 'light'}".lower().replace(" ", "-"))
    # nothing stands out of the page at its side
    inside = page.evaluate(
        """() => { const all = document.querySelector('.toolkit-explorer');
        const shown = [...all.querySelectorAll('img, select, input')].filter(e => e.getClientRects().length);
        const right = all.getBoundingClientRect().right + 1;
        return shown.length > 5 && shown.every(e => e.getBoundingClientRect().right <= right); }"""
    )
    assert inside
    stop_kernels(page)


def test_every_control_has_a_label(page: Any, lab: Any, expect: Any) -> None:
    open_notebook(page, lab, "labels", CELL)
    alt(expect, page, "^lengths of obfs4")
    for name in ("Choose", "Tune", "Targets", "Keep"):
        if name != "Choose":
            section(page, name)
        for label in {
            "Choose": ["Capture", "Compared", "Search", "Clients", "Networks", "Packets", "from", "to"],
            "Tune": ["bytes", "Longest", "Clusters shown", "Time window (s)", "Packets", "Single"],
            "Targets": ["Search", "Targets", "Networks"],
            "Keep": ["Code", "Name", "Venue", "Columns", "Table as"],
        }[name]:
            expect(page.get_by_label(label, exact=True).locator("visible=true").first).to_be_visible()
    stop_kernels(page)
