"""What was measured, as a table, as JSON and as a picture."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.measure import ROOT, Samples


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    part
        Name of the part of the benchmark.
    what
        What was measured.
    value
        What came out; None if it could not be measured.
    unit
        Of `value` and `target`.
    target
        None where there is none.
    at_least
        Whether `value` shall be at least the target, rather than at most.
    detail
        The medians behind a ratio, or why there is no value.
    samples
        Every measurement behind it, in CPU seconds (or bytes).
    """

    part: str
    what: str
    value: float | None
    unit: str
    target: float | None = None
    at_least: bool = False
    detail: str = ""
    samples: Samples = dataclasses.field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """``"met"``, ``"MISSED"``, ``"skipped"``, or nothing where there is no target."""
        if self.value is None:
            return "skipped"
        if self.target is None:
            return ""
        return "met" if (self.value >= self.target if self.at_least else self.value <= self.target) else "MISSED"

    def cells(self) -> tuple[str, ...]:
        """Give the row of the table."""
        value = "" if self.value is None else f"{_short(self.value)} {self.unit}"
        bound = "" if self.target is None else f"{'≥' if self.at_least else '≤'} {_short(self.target)}"
        return self.part, self.what, value, bound, self.verdict, self.detail


_HEADINGS = ("part", "what", "measured", "target", "verdict", "from")


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def markdown(rows: list[Row]) -> str:
    """Give the table."""
    cells = [_HEADINGS, *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(_HEADINGS))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths))
    return "\n".join(line.rstrip() + " |" for line in lines).replace("- |", "-|")


def machine(nfstream: str) -> dict[str, str]:
    """Tell what the measurements were made on."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        processor = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unknown")
    packages = ("numpy", "numba", "pandas", "scikit-learn", "dpkt", "traffic-toolkit")
    return {
        "processor": f"{processor}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f} at the start",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "packages": ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages),
        "commit": _said(["git", "describe", "--always", "--dirty"]),
        "tools": ", ".join(filter(None, [_said(["tcpdump", "--version"]), _said(["tshark", "--version"]), nfstream])),
    }


def _said(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    except FileNotFoundError:
        return f"no {command[0]}"
    if done.returncode:
        return "unknown"
    return ((done.stdout or done.stderr).splitlines() or [""])[0].rstrip(".")


def write(folder: Path, rows: list[Row], about: dict[str, str], note: str) -> None:
    """Write ``results.json`` and ``results.md``."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = [dataclasses.asdict(row) | {"verdict": row.verdict} for row in rows]
    (folder / "results.json").write_text(json.dumps({"note": note, "machine": about, "rows": listed}, indent=1) + "\n")
    text = "\n".join(f"- {name}: {value}" for name, value in about.items())
    (folder / "results.md").write_text(f"# Benchmarks\n\n{note}\n\n{markdown(rows)}\n\n{text}\n")


def plot_scaling(path: Path, packets: list[int], seconds: list[float], memory: list[int]) -> None:
    """Draw time and memory against the number of packets, with the line that is exactly linear."""
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    n = np.array(packets)
    for ax, values, label in zip(
        figure.subplots(1, 2),
        (np.array(seconds), np.array(memory) / 1e6),
        ("CPU time (s)", "Peak memory beyond the file (MB)"),
        strict=True,
    ):
        ax.loglog(n, values, "o-", color="#0072b2", label="measured")
        ax.loglog(n, values[-1] * n / n[-1], "--", color="0.5", label="linear")
        ax.set(xlabel="Packets", ylabel=label)
        ax.legend(frameon=False)
        ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
