"""Measure CPU seconds (user and system) and memory, of functions here and of other programs."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent

Samples = dict[str, list[float]]


def cpu_here(function: Callable[[], object]) -> float:
    """CPU seconds that a call takes in this process; what it returns is freed outside of them."""
    gc.collect()
    start = time.process_time()
    result = function()
    seconds = time.process_time() - start
    del result
    return seconds


def cpu_of(command: Sequence[str | Path]) -> float:
    """CPU seconds of a program and the processes it waited for; its output is thrown away.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT, text=True)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed with {process.returncode}: {said.strip()[-500:]}")
    return usage.ru_utime + usage.ru_stime


def in_turns(cases: dict[str, Callable[[], float]], repeats: int) -> Samples:
    """Take each measurement in turn, `repeats` times, so that what disturbs the machine disturbs them alike."""
    samples: Samples = {name: [] for name in cases}
    for _ in range(repeats):
        for name, case in cases.items():
            samples[name].append(case())
    return samples


def pass_in_child(path: Path, clients: str | None, warm_up: Path, passes: int) -> tuple[list[float], int]:
    """Go from capture to feature table (without `clients` only read it) in a fresh process (`benchmarks.child`).

    Returns
    -------
    seconds
        CPU seconds of each pass.
    peak
        The most bytes of anonymous memory (so without mapped files) above those after the warm-up.
    """
    command = [sys.executable, "-m", "benchmarks.child", str(warm_up), str(path), clients or "", str(passes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        if child.stdout.readline() != "ready\n":
            raise RuntimeError("the child process did not start")
        os.set_blocking(child.stdout.fileno(), False)
        before = peak = _anonymous(child.pid)
        child.stdin.write("go\n")
        child.stdin.flush()
        # from outside: a thread of the child would have to wait for the interpreter's lock
        while not (line := child.stdout.readline()):
            peak = max(peak, _anonymous(child.pid))
            if child.poll() is not None:
                raise RuntimeError(f"the child process failed with {child.returncode}")
            time.sleep(0.001)
        child.stdin.close()
    return [float(word) for word in line.split()], peak - before


def _anonymous(pid: int) -> int:
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("RssAnon:"):
                return 1024 * int(line.split()[1])
    return 0  # it has ended
