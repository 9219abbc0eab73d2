"""The compilation cache finds a writable place, or makes a private one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from toolkit import _jit

PROGRAM = """
import os, sys
from numba.core import caching

def refuse(self):
    raise OSError("read-only")

# as in a read-only installation of a user without a home: no place that numba knows of can be written, but the one
# that is asked for by name (NUMBA_CACHE_DIR and its setting)
for name, locator in vars(caching).items():
    if name.endswith(("InTreeCacheLocator", "FsAgnostic", "UserWideCacheLocator", "IPythonCacheLocator")):
        locator.ensure_cache_path = refuse
import toolkit
print(toolkit.entropy(b"aabb"))
"""


def test_works_and_caches_where_nothing_else_can_be_written(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=environment | {"TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("1.0\n", 0), done.stderr
    folder = tmp_path / f"traffic-toolkit-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(folder.rglob("*.nbi"))


@pytest.mark.parametrize("mode", [0o755, 0o777])
def test_a_folder_that_others_can_enter_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int) -> None:
    monkeypatch.setattr(_jit.tempfile, "gettempdir", lambda: str(tmp_path))
    planted = tmp_path / f"traffic-toolkit-{os.getuid()}"
    planted.mkdir()
    planted.chmod(mode)
    assert _jit._private_folder() is None
    planted.chmod(0o700)
    assert _jit._private_folder() == planted
