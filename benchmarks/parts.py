"""The parts of the benchmark: each measures, and gives rows of the table."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from socket import inet_ntoa
from statistics import median

import dpkt
import numpy as np
from sklearn.cluster import MeanShift

import toolkit
from benchmarks import traces
from benchmarks.measure import ROOT, Samples, cpu_here, cpu_of, in_turns, pass_in_child
from benchmarks.report import Row, plot_scaling
from tests import reference

_FIELDS = (
    "frame.time_epoch", "ip.src", "ip.dst", "ip.proto", "ip.len", "ip.ttl",
    "tcp.srcport", "tcp.dstport", "tcp.seq", "tcp.ack", "tcp.flags", "tcp.len",
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """How much to measure.

    Attributes
    ----------
    quick
        Fewer packets and repeats: to see that it runs, not to judge by.
    nfstream
        An interpreter that has NFStream installed, or None.
    out
        Folder for pictures.
    """

    quick: bool
    nfstream: str | None
    out: Path

    def of(self, full: int, quick: int) -> int:
        """Give one of two numbers."""
        return quick if self.quick else full


def _features(path: Path) -> object:
    return toolkit.client_features(toolkit.read(path), traces.CLIENTS)


def _medians(samples: Samples) -> dict[str, float]:
    return {name: median(values) for name, values in samples.items()}


def _seconds(value: float) -> str:
    return f"{value:.3g} s" if value >= 1 else f"{1_000 * value:.3g} ms"


def _versus(
    part: str,
    what: str,
    samples: Samples,
    ours: str,
    other: str,
    target: float | None,
    note: str = "",
    faster: bool = True,
) -> Row:
    """Give how many times faster ours is than the other (or how many times slower)."""
    middle = _medians(samples)
    ratio = middle[other] / middle[ours] if faster else middle[ours] / middle[other]
    detail = f"{ours} {_seconds(middle[ours])}, {other} {_seconds(middle[other])}"
    return Row(part, what, ratio, "×", target, faster, f"{detail}{', ' if note else ''}{note}", samples)


def features(settings: Settings) -> Iterator[Row]:
    """From a capture file to the complete feature table, in process and warm, against other tools."""
    for kind, packets, nfstream_target in (
        (traces.SMALL, settings.of(612_192, 100_000), 25),
        (traces.LARGE, settings.of(1_600_000, 100_000), 5),
    ):
        path = traces.capture(kind, packets)
        label = f"{kind.payload} bytes of payload"
        _features(path)
        yield _against_tcpdump(path, label, settings)
        yield _against_tshark(path, packets, label, settings)
        yield _against_nfstream(path, label, nfstream_target, settings)
        yield from _against_python(kind, path, packets, label, settings)


def _against_tcpdump(path: Path, label: str, settings: Settings) -> Row:
    what = f"{label}: times `tcpdump -w`"
    if not shutil.which("tcpdump"):
        return Row("features", what, None, "×", 3.5, detail="tcpdump is not installed")
    cases = {
        "toolkit": lambda: cpu_here(lambda: _features(path)),
        "tcpdump": lambda: cpu_of(["tcpdump", "-r", path, "-w", "/dev/null"]),
    }
    samples = in_turns(cases, settings.of(15, 5))
    return _versus("features", what, samples, "toolkit", "tcpdump", 3.5, faster=False)


def _against_tshark(path: Path, packets: int, label: str, settings: Settings) -> Row:
    what = f"{label}: faster than `tshark -T fields`"
    if not shutil.which("tshark"):
        return Row("features", what, None, "×", 40, True, "tshark is not installed")
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", *(word for name in _FIELDS for word in ("-e", name))]
    most = min(packets, settings.of(700_000, 50_000))
    cases = {
        "toolkit": lambda: cpu_here(lambda: _features(path)),
        "tshark of one packet": lambda: cpu_of([*command, "-c", "1"]),
        "tshark measured": lambda: cpu_of([*command, "-c", str(most)]),
    }
    samples = in_turns(cases, settings.of(3, 1))
    note = "the whole file"
    if most < packets:
        note = f"scaled from {most:,} packets (its start counted once)"
    start = median(samples["tshark of one packet"])
    samples["tshark"] = [start + (value - start) * packets / most for value in samples["tshark measured"]]
    return _versus("features", what, samples, "toolkit", "tshark", 40, note)


def _against_nfstream(path: Path, label: str, target: float, settings: Settings) -> Row:
    what = f"{label}: faster than NFStream"
    if settings.nfstream is None:
        return Row("features", what, None, "×", target, True, "not installed (--nfstream-python PATH)")
    command = [settings.nfstream, str(ROOT / "benchmarks" / "nfstream_child.py")]
    cases = {
        "toolkit": lambda: cpu_here(lambda: _features(path)),
        "import of NFStream": lambda: cpu_of(command),
        "NFStream whole": lambda: cpu_of([*command, path]),
    }
    samples = in_turns(cases, settings.of(5, 1))
    start = median(samples["import of NFStream"])
    samples["NFStream"] = [value - start for value in samples["NFStream whole"]]
    return _versus("features", what, samples, "toolkit", "NFStream", target, "without its import")


def _against_python(kind: traces.Kind, path: Path, packets: int, label: str, settings: Settings) -> Iterator[Row]:
    """Compare to plain Python, scaled from a short capture of the same kind, on which the values must agree."""
    few = settings.of(20_000, 10_000)
    short = traces.capture(kind, few)

    def compute() -> list[tuple[tuple[str, str, int, int], dict[str, float]]]:
        read = [reference.Packet(*fields) for fields in _packets(short)]
        return reference.client_features(read, [traces.CLIENTS], 60 * 10**9, 50)

    cases = {
        "toolkit": lambda: cpu_here(lambda: _features(path)),
        "dpkt": lambda: cpu_here(lambda: list(_packets(short))) * packets / few,
        "reference": lambda: cpu_here(compute) * packets / few,
    }
    samples = in_turns(cases, settings.of(3, 1))
    note = f"scaled from {few:,} packets"
    what = f"{label}: faster than dpkt only reading"
    yield _versus("features", what, samples, "toolkit", "dpkt", None, note)
    table = toolkit.client_features(toolkit.read(short), traces.CLIENTS)
    expected = compute()
    same = list(table.index) == [key for key, _ in expected] and all(
        np.allclose(list(row.values()), table.loc[key, list(row)], rtol=1e-9, atol=1e-9) for key, row in expected
    )
    note += f", the values of {len(table):,} windows agree" if same else ", THE VALUES DIFFER"
    what = f"{label}: faster than plain Python (tests/reference.py)"
    yield _versus("features", what, samples, "toolkit", "reference", 200, note)


def _packets(path: Path) -> Iterator[tuple[int | str | bytes, ...]]:
    """Read a capture of `benchmarks.traces` with dpkt: the fields of `reference.Packet` in order."""
    with open(path, "rb") as file:
        for stamp, frame in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(frame).data
            segment = ip.data
            tcp = (segment.seq, segment.ack, segment.flags) if ip.p == dpkt.ip.IP_PROTO_TCP else (0, 0, 0)
            src, dst = inet_ntoa(ip.src), inet_ntoa(ip.dst)
            time = round(stamp * 1e6) * 1_000
            yield time, src, dst, ip.p, ip.len, segment.sport, segment.dport, *tcp, segment.data


def stages(settings: Settings) -> Iterator[Row]:
    """Where the time of the feature table goes."""
    yield from _stages(traces.SMALL, settings.of(612_192, 100_000), settings)
    yield from _stages(traces.LARGE, settings.of(1_600_000, 100_000), settings)


def _stages(kind: traces.Kind, packets: int, settings: Settings) -> Iterator[Row]:
    path = traces.capture(kind, packets)
    trace = toolkit.read(path)
    others = [name for name in toolkit.FEATURES.sets if name != "entropy"]

    def cut() -> toolkit.Windows:
        return toolkit.client_windows(trace, traces.CLIENTS, 50, time_window="60s")

    windows = cut()
    cases = {
        "read": lambda: cpu_here(lambda: toolkit.read(path)),
        "windows": lambda: cpu_here(cut),
        "features without entropy": lambda: cpu_here(lambda: toolkit.window_features(windows, traces.CLIENTS, others)),
        "all features": lambda: cpu_here(lambda: toolkit.window_features(windows, traces.CLIENTS)),
    }
    in_turns(cases, 1)  # brings the file into the system's cache
    samples = in_turns(cases, settings.of(9, 5))
    samples["entropy"] = [
        both - rest for both, rest in zip(samples.pop("all features"), samples["features without entropy"], strict=True)
    ]
    for name, values in samples.items():
        what = f"{kind.payload} bytes of payload: {name}"
        seconds = median(values)
        yield Row(
            "stages", what, 1e9 * seconds / packets, "ns/packet", detail=_seconds(seconds), samples={name: values}
        )


def scaling(settings: Settings) -> Iterator[Row]:
    """Time and memory in a fresh process, from a hundred thousand to ten million packets."""
    sizes = [100_000, 300_000, 1_000_000] + ([] if settings.quick else [3_000_000, 10_000_000])
    warm_up = traces.capture(traces.TINY, 5_000)
    seconds: Samples = {}
    memory: Samples = {}
    for packets in sizes:
        path = traces.capture(traces.TINY, packets)
        for _ in range(settings.of(3, 1)):
            # memory from first passes, which no memory freed by another can hide
            _, peak = pass_in_child(path, traces.CLIENTS, warm_up, 1)
            memory.setdefault(str(packets), []).append(peak)
        seconds[str(packets)], _ = pass_in_child(path, traces.CLIENTS, warm_up, settings.of(5, 3))
    times = [median(values) for values in seconds.values()]
    peaks = [int(median(values)) for values in memory.values()]
    for packets, peak in zip(sizes, peaks, strict=True):
        if packets in (1_000_000, sizes[-1]):
            what = f"peak memory beyond the file, {packets:,} packets"
            yield Row("scaling", what, peak / packets, "bytes/packet", 100, False, f"{peak / 1e6:,.1f} MB", memory)
    span = f"{sizes[0]:,} to {sizes[-1]:,} packets"
    for name, values, samples in (("time", times, seconds), ("memory", peaks, memory)):
        power = float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
        each = [value / packets for value, packets in zip(values, sizes, strict=True)]
        ends = (each[0], each[-1])
        detail = " and ".join(f"{1e9 * end:.0f} ns" if name == "time" else f"{end:.0f} bytes" for end in ends)
        detail += " a packet at the ends"
        yield Row("scaling", f"{name} grows by the power, {span}", power, "", 1.1, False, detail, samples)
    settings.out.mkdir(parents=True, exist_ok=True)
    plot_scaling(settings.out / "scaling.png", sizes, times, peaks)


def clusters(settings: Settings) -> Iterator[Row]:
    """Payload-length clusters against scikit-learn's mean shift."""
    packets = settings.of(1_000_000, 100_000)
    lengths = _lengths(packets)
    points = np.column_stack([lengths, np.zeros(packets)])
    found = toolkit.cluster_lengths(lengths, bandwidth=3)
    theirs = MeanShift(bandwidth=3, bin_seeding=True)
    cases = {
        "scikit-learn": lambda: cpu_here(lambda: theirs.fit(points)),
        "toolkit": lambda: median(
            cpu_here(lambda: toolkit.cluster_lengths(lengths, bandwidth=3)) for _ in range(settings.of(15, 5))
        ),
    }
    samples = in_turns(cases, settings.of(3, 1))
    centres = theirs.cluster_centers_[np.unique(theirs.labels_), 0]
    same = np.allclose(np.sort(centres), np.sort(found.centres)) if len(centres) == len(found) else False
    note = f"{len(found)} clusters, {'the same' if same else 'OTHER'} centres"
    what = f"cluster_lengths of {packets:,} lengths: faster than MeanShift"
    yield _versus("clusters", what, samples, "toolkit", "scikit-learn", 500, note)

    packets = settings.of(10_000_000, 1_000_000)
    counted = toolkit.length_counts(_lengths(packets))
    values = [cpu_here(lambda: toolkit.cluster_lengths(counted, bandwidth=3)) for _ in range(15)]
    what = f"cluster_lengths of {packets:,} counted lengths"
    yield Row("clusters", what, 1e3 * median(values), "ms", 20, samples={"toolkit": values})


def _lengths(packets: int) -> np.ndarray:
    """Draw lengths of which `cluster_lengths` leaves none out."""
    lengths = traces.payload_lengths(traces.LARGE, 5 * packets, np.random.default_rng(2))
    return lengths[(lengths > 0) & (lengths <= 1_300)][:packets]


def start(settings: Settings) -> Iterator[Row]:
    """Measure the start: the import, and the command line on a short capture."""
    statements = ("import pandas", "import toolkit", "import toolkit; toolkit.read")
    cases = {line: lambda line=line: cpu_of([sys.executable, "-c", line]) for line in statements}
    in_turns(cases, 1)  # compiles what is not compiled
    samples = in_turns(cases, settings.of(9, 5))
    for ours, target in ((statements[1], 1.3), (statements[2], None)):
        what = f"`{ours}`: times `import pandas`"
        yield _versus("start", what, samples, ours, statements[0], target, faster=False)
    path = traces.capture(traces.LARGE, 4_400)
    command = [sys.executable, "-m", "toolkit", "info", path]
    what = f"`toolkit info` on {path.stat().st_size / 1e6:.1f} MB"
    if not (ROOT / "toolkit" / "__main__.py").exists():
        yield Row("start", what, None, "s", 2.5, False, "there is no command line yet")
        return
    cpu_of(command)
    values = [cpu_of(command) for _ in range(settings.of(9, 3))]
    yield Row("start", what, median(values), "s", 2.5, False, "warm", {"toolkit info": values})


def charts(settings: Settings) -> Iterator[Row]:
    """Measure the charts, see `benchmarks.charts`."""
    from benchmarks.charts import charts

    return charts(settings.quick)


def explorer(settings: Settings) -> Iterator[Row]:
    """Measure the explorer in a browser, see `benchmarks.explorer`."""
    from benchmarks.explorer import explorer

    return explorer(settings.quick)


def limits(settings: Settings) -> Iterator[Row]:
    """Measure files made to cost much, see `benchmarks.limits`."""
    from benchmarks.limits import limits

    return limits(settings.quick)


def engines(settings: Settings) -> Iterator[Row]:
    """Measure the engines against each other, see `benchmarks.engines`."""
    from benchmarks.engines import engines

    return engines(settings.quick)


PARTS = {
    "features": features,
    "stages": stages,
    "scaling": scaling,
    "clusters": clusters,
    "charts": charts,
    "explorer": explorer,
    "start": start,
    "limits": limits,
    "engines": engines,
}
