"""What every test has: the shared captures, a browser, and no figure left open by the test before."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser_bench import browser as browser
from browser_bench import lab as lab
from browser_bench import page as page
from browser_bench import voila as voila


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of the full captures: TOOLKIT_SHARED, or ``shared`` beside the repository."""
    folder = Path(os.environ.get("TOOLKIT_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    manifest = folder / "traces" / "manifest.json"
    if not manifest.is_file():
        message = f"no shared captures: {manifest} is absent (TOOLKIT_SHARED names the folder)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
