"""The bench itself, on a notebook of two widgets: what the other tests of pages stand on."""

from __future__ import annotations

from typing import Any

import pytest
from browser_bench import opened_page
from pages import open_in_voila, open_notebook, stop_kernels

CELL = """import ipywidgets
slider, label = ipywidgets.IntSlider(3, max=10), ipywidgets.Label("value 3")
slider.observe(lambda change: setattr(label, "value", f"value {change.new}"), "value")
label.add_class("told")
ipywidgets.VBox([slider, label])"""


@pytest.fixture
def expect() -> Any:
    return pytest.importorskip("playwright.sync_api").expect


def move(page: Any, expect: Any) -> None:
    told = page.locator(".told")
    expect(told).to_have_text("value 3", timeout=60_000)
    handle = page.locator(".noUi-handle")
    handle.press("ArrowRight")
    handle.press("ArrowRight")
    expect(told).to_have_text("value 5")


def test_jupyterlab(page: Any, lab: Any, expect: Any) -> None:
    open_notebook(page, lab, "bench", CELL)
    move(page, expect)
    stop_kernels(page)


def test_voila_needs_nothing_from_elsewhere(page: Any, voila: Any, expect: Any) -> None:
    open_in_voila(page, voila, "bench", CELL)
    move(page, expect)


def load(browser: Any, text: str) -> None:
    with opened_page(browser) as page:
        page.set_content(text)


def test_a_request_that_leaves_this_machine_is_caught(browser: Any) -> None:
    with pytest.raises(AssertionError, match=r"from elsewhere: \['http://example\.com/x\.js'\]"):
        load(browser, "<script src='http://example.com/x.js'></script>")


def test_an_error_in_a_page_is_caught(browser: Any) -> None:
    with pytest.raises(AssertionError, match=r"complained: .*it broke"):
        load(browser, "<script>throw new Error('it broke')</script>")
