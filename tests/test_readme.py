"""Every code block of the README runs.

The Python blocks are doctests (collected by pytest itself, see pyproject.toml). The shell blocks run here, line by
line. `make test` is what runs these tests, so of it only the steps are asked for (`make --dry-run`).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import toolkit

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
SHELL = [line for language, block in BLOCKS if language == "sh" for line in block.splitlines()]


def test_every_block_is_run() -> None:
    assert {language for language, _ in BLOCKS} == {"python", "sh"}
    for language, block in BLOCKS:
        if language == "python":  # blocks without a prompt would not be collected as doctests
            assert block.startswith(">>> ")


@pytest.mark.parametrize("line", SHELL)
def test_shell_line(line: str, tmp_path: Path) -> None:
    shutil.copy(toolkit.example("obfs4").path, tmp_path / "trace.pcap")
    folder: Path = tmp_path
    if line.startswith("make "):
        folder = ROOT
        if line == "make test":
            line = "make --dry-run test"
        elif not (ROOT / ".venv").is_dir():
            pytest.skip("no .venv here: the tests run in an environment of their own")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        line, shell=True, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert "warning" not in done.stderr.lower()
