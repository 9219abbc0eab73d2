"""How fast the engines are on the same capture, the start of their programs included."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import toolkit
from benchmarks import traces
from benchmarks.measure import in_turns
from benchmarks.report import Row

ENGINES: tuple[Any, ...] = ("native", "tshark", "pyshark")


def engines(quick: bool) -> Iterator[Row]:
    """Measure CPU seconds of reading, those of tshark included."""
    packets = 1_000 if quick else 10_000
    repeats = 1 if quick else 3
    path = traces.capture(traces.LARGE, packets)
    if not shutil.which("tshark"):
        yield Row("engines", f"read {packets:,} packets", None, "packets/s", detail="tshark is not installed")
        return
    cases = {engine: _reading(path, engine) for engine in ENGINES}
    cases["native"]()  # compiles what is not compiled
    samples = in_turns(cases, repeats)
    native = median(samples["native"])
    for engine, values in samples.items():
        seconds = median(values)
        detail = f"{seconds:.3g} s, median of {repeats}; {seconds / native:,.0f}× the time of native"
        what = f"{engine}: {packets:,} packets of {traces.LARGE.payload} bytes of payload"
        yield Row("engines", what, packets / seconds, "packets/s", detail=detail, samples={engine: values})


def _reading(path: Path, engine: Any) -> Callable[[], float]:
    def measured() -> float:
        before = _cpu()
        toolkit.read(path, engine=engine)
        return _cpu() - before

    return measured


def _cpu() -> float:
    """CPU seconds of this process, and of the ended ones that it has started."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)
