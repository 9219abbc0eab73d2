"""Shannon entropy of payload bytes."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit._jit import Int, kernel
from toolkit.columns import Columns
from toolkit.storage import Pass
from toolkit.trace import Trace

ANY_PROTOCOL = -1
_LARGE = 1 << 20  # bytes from which a table of n * log2(n) would cost more than it saves
_RUNS = 2_000  # random payloads of `entropy_ceiling`
_SEED = 1955
_SHORT = 96  # payloads under this many bytes touch fewer bins than a sum over all 256 would


def entropy(payload: bytes | bytearray | memoryview) -> float:
    """Shannon entropy of some bytes, in bits per byte.

    ``-sum(p * log2(p))`` over the shares ``p`` of each byte value (Shannon 1948, "A Mathematical Theory of
    Communication"). Few bytes cannot reach 8 bits: 128 random bytes have about 6.5.

    Parameters
    ----------
    payload
        Any number of bytes; none give 0.

    Returns
    -------
    float
        From 0 to 8.

    Examples
    --------
    >>> entropy(b"aabb")
    1.0
    >>> entropy(bytes(range(256)))
    8.0
    """
    data = np.frombuffer(payload, np.uint8)
    data.flags.writeable = False
    if len(data) > _LARGE:
        pieces = (data[first : first + _LARGE] for first in range(0, len(data), _LARGE))
        counts = np.sum([np.bincount(piece, minlength=256) for piece in pieces], axis=0)
        shares = counts[counts > 0] / len(data)
        return float(shares @ -np.log2(shares))
    return float(_one_entropy(data, 0, len(data), np.zeros((2, 256), np.uint32), _table(len(data))))


def payload_entropy(trace: Trace) -> npt.NDArray[np.float64]:
    """Shannon entropy of the payload of every packet of a trace, in bits per byte.

    Returns
    -------
    ndarray of shape (packets,)
        From 0 to 8; 0 for an empty payload. Of a payload that the snap length cut, the part that is in the file counts.
        In an anonymised trace, what it was before (`Trace.kept_entropy`).

    Examples
    --------
    >>> import toolkit
    >>> trace = toolkit.load_example("obfs4").select(payload_only=True)
    >>> bool(payload_entropy(trace).max() > 7.8)
    True
    """
    return entropy_of(trace, np.ones(trace.host_count, bool), ANY_PROTOCOL)


def entropy_of(trace: Trace, hosts: npt.NDArray[np.bool_], protocol: int) -> npt.NDArray[np.float64]:
    """Entropy of the packets of one protocol to or from some hosts; 0 for all others, which are not looked at.

    `hosts` has one boolean a host.
    """
    out = np.zeros(len(trace))
    captured = trace.column("payload_captured")
    table = _table(int(captured.max()) if len(captured) else 0)
    offset, start = trace.column("frame_offset"), trace.column("payload_start")
    # in the order of the file, whatever that of the rows; none is given where it is the same
    order = np.empty(0, np.intp) if (offset[1:] >= offset[:-1]).all() else np.argsort(offset, kind="stable")
    at_hand = Pass(trace.storage)
    done = 0
    while True:
        done = _entropies(at_hand.data, at_hand.base, trace.columns, order, done, hosts, protocol, table, out)
        if done == len(out):
            break
        row = order[done] if len(order) else done
        at_hand.load(int(offset[row]), int(start[row]), int(captured[row]))
    trace.storage.check()
    if trace.kept_entropy is not None:
        asked = hosts[trace.column("src")] | hosts[trace.column("dst")]
        if protocol >= 0:
            asked &= trace.column("protocol") == protocol
        np.copyto(out, trace.kept_entropy, where=asked & ~np.isnan(trace.kept_entropy))
    return out


@dataclass(frozen=True, eq=False)
class EntropyCounts:
    """How many packets have which payload length and entropy. Made by `entropy_counts`.

    Attributes
    ----------
    cells
        One row a cell that holds a packet: ``length`` and ``entropy``, its lower edges (bytes, bits/byte), and
        ``packets``.
    length_step, entropy_step
        Size of a cell.
    max_length, left_out_above
        Longest payload counted, in bytes, and how many packets have a longer one.
    cut
        Packets counted whose payload the snap length cut: length and entropy are of what is in the file.
    """

    cells: pd.DataFrame
    length_step: int
    entropy_step: float
    max_length: int
    left_out_above: int
    cut: int

    @property
    def total_packets(self) -> int:
        """Packets with payload bytes in the file, left out or not."""
        return int(self.cells["packets"].sum()) + self.left_out_above


def entropy_counts(
    trace: Trace, *, max_length: int = 1500, length_step: int = 20, cells_per_bit: int = 10
) -> EntropyCounts:
    """Count packets by the length and the entropy of their payload.

    Parameters
    ----------
    trace
        Packets of any protocol; those without payload bytes in the file are not counted.
    max_length
        Longest payload counted, in bytes, at least 1.
    length_step
        Width of a cell in bytes, at least 1.
    cells_per_bit
        Cells a bit of entropy, at least 1. Entropy at an edge belongs to the cell above, 8 to the last.

    Raises
    ------
    ValueError
        If an option is no int of at least 1.

    Examples
    --------
    >>> import toolkit
    >>> counted = entropy_counts(toolkit.load_example("obfs4"))
    >>> counted.cells.tail(2)
         length  entropy  packets
    105    1420      7.8        3
    106    1440      7.8      481
    >>> counted.total_packets
    838
    """
    for name, value in (("max_length", max_length), ("length_step", length_step), ("cells_per_bit", cells_per_bit)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(f"`{name}` must be an int of at least 1, got {value!r}")
    length = trace.column("payload_captured")
    some = length > 0
    inside = some & (length <= max_length)
    # what is an edge in exact arithmetic may come out a rounding error below it
    level = np.floor(payload_entropy(trace)[inside] * cells_per_bit + 1e-9).astype(np.int64)
    rows = 8 * cells_per_bit
    cell = (length[inside] // length_step).astype(np.int64) * rows + np.minimum(level, rows - 1)
    counts = np.bincount(cell)
    filled = np.flatnonzero(counts)
    cells = pd.DataFrame(
        {
            "length": filled // rows * length_step,
            "entropy": filled % rows / cells_per_bit,
            "packets": counts[filled],
        }
    )
    cut = int((inside & (length < trace.column("payload_length"))).sum())
    return EntropyCounts(cells, length_step, 1 / cells_per_bit, max_length, int((some & ~inside).sum()), cut)


def entropy_ceiling(lengths: npt.ArrayLike) -> pd.DataFrame:
    """Give the entropy that uniform random bytes of some lengths reach: few bytes cannot fill all 256 values.

    The mean is exact: ``log2(n) - 256/n * E[c log2 c]`` with ``c`` binomial, the number of times that one value occurs.
    The band is from 2,000 random payloads (PCG64 with a fixed seed; the same ones at every length), so its edges lie
    within about one percentage point of the 5th and the 95th percentile.

    Source: the bias of the plug-in estimator, G. Miller, "Note on the bias of information estimates", 1955; here
    without its approximation.

    Parameters
    ----------
    lengths
        Payload lengths in bytes, 1 to 65,535 each, in any order.

    Returns
    -------
    DataFrame
        Index ``length``, ascending and unique: ``mean``, ``low`` (5th percentile) and ``high`` (95th), in bits/byte,
        rounded to 9 places.

    Raises
    ------
    ValueError
        If a length is out of range or no integer.

    Examples
    --------
    >>> entropy_ceiling([1, 2, 128, 1448]).round(3)
             mean    low   high
    length
    1       0.000  0.000  0.000
    2       0.996  1.000  1.000
    128     6.550  6.433  6.654
    1448    7.868  7.849  7.887
    """
    asked = np.unique(np.asarray(lengths))
    if asked.ndim != 1 or (len(asked) and (asked.dtype.kind not in "iu" or asked[0] < 1 or asked[-1] > 65_535)):
        raise ValueError(f"`lengths` must be integers from 1 to 65,535, got {lengths!r}")
    return _ceiling(tuple(asked.tolist())).copy()


@functools.lru_cache(maxsize=8)
def _ceiling(lengths: tuple[int, ...]) -> pd.DataFrame:
    longest = max(lengths, default=1)
    stops = np.array(lengths, np.int64)
    found = np.zeros((_RUNS, len(lengths)))
    for run in range(_RUNS):
        raw = np.random.PCG64(np.random.SeedSequence([_SEED, run])).random_raw(longest // 8 + 1)
        _growing_entropy(np.asarray(raw).astype("<u8").view(np.uint8), stops, _table(longest), found[run])
    low, high = np.quantile(found, [0.05, 0.95], axis=0) if lengths else (found[0], found[0])
    means = [_random_mean(length) for length in lengths]
    # rounded, since the logarithms of one processor differ from those of another in the last bit
    columns = {"mean": np.array(means).round(9), "low": low.round(9), "high": high.round(9)}
    return pd.DataFrame(columns, index=pd.Index(lengths, name="length", dtype=np.int64))


def _random_mean(length: int) -> float:
    """Exact expectation of the entropy of so many uniform random bytes."""
    expected = length / 256
    most = min(length, int(expected + 12 * math.sqrt(expected) + 20))  # beyond that, under 1e-16
    count = np.arange(most + 1)
    # the binomial distribution, each from the one before
    ratio = np.log((length - count[:-1]) / (count[:-1] + 1)) - math.log(255)
    share = np.exp(np.cumsum(np.append(length * math.log(255 / 256), ratio)))
    return math.log2(length) - 256 / length * float(share[1:] @ (count[1:] * np.log2(count[1:])))


@functools.lru_cache(maxsize=1)
def _logs(size: int) -> npt.NDArray[np.float64]:
    counts = np.arange(size, dtype=np.float64)
    counts[1:] *= np.log2(counts[1:])
    return counts


def _table(longest: int) -> npt.NDArray[np.float64]:
    """Values of n * log2(n) from 0 to at least `longest`."""
    return _logs(1 << max(longest, 4095).bit_length())


@kernel
def _one_entropy(
    data: npt.NDArray[np.uint8],
    first: Int,
    last: Int,
    bins: npt.NDArray[Any],
    logs: npt.NDArray[np.float64],
) -> float:
    """Entropy of ``data[first:last]``: ``(L log L - sum(c log c)) / L``. `bins` are zero before and after."""
    length = last - first
    if length < 2:
        return 0.0
    # indices are unsigned: for a signed one numba looks each time whether it counts from the end, which takes half
    # of the time
    one, two, three, four = np.uint64(1), np.uint64(2), np.uint64(3), np.uint64(4)
    i = np.uint64(first)
    total = 0.0
    if length < _SHORT:
        # each byte adds what its bin's term grows by; only the bins touched are cleared
        for _ in range(length):
            count = np.uint64(bins[0, data[i]])
            total += logs[count + one] - logs[count]
            bins[0, data[i]] = count + one
            i += one
        i = np.uint64(first)
        for _ in range(length):
            bins[0, data[i]] = 0
            i += one
    else:
        # two histograms, so that equal bytes in a row do not wait for each other
        for _ in range(length >> 2):
            bins[0, data[i]] += 1
            bins[1, data[i + one]] += 1
            bins[0, data[i + two]] += 1
            bins[1, data[i + three]] += 1
            i += four
        for _ in range(length & 3):
            bins[0, data[i]] += 1
            i += one
        for value in range(256):
            bins[0, value] += bins[1, value]
        a = b = c = d = 0.0
        for value in range(0, 256, 4):
            a += logs[bins[0, value]]
            b += logs[bins[0, value + 1]]
            c += logs[bins[0, value + 2]]
            d += logs[bins[0, value + 3]]
        total = (a + b) + (c + d)
        bins[:] = 0
    bits: float = min(max((logs[length] - total) / length, 0.0), 8.0)
    return bits


@kernel
def _entropies(
    data: npt.NDArray[np.uint8],
    base: Int,
    columns: Columns,
    order: npt.NDArray[np.intp],
    done: Int,
    hosts: npt.NDArray[np.bool_],
    protocol: Int,
    logs: npt.NDArray[np.float64],
    out: npt.NDArray[np.float64],
) -> Int:
    """Go on after `done` rows until one has payload that is not in `data`; give how many are done then."""
    bins = np.zeros((2, 256), np.uint16)  # narrow ones are added up and cleared twice as fast
    wide = np.zeros((2, 256), np.uint32)
    for i in range(done, len(out)):
        row = order[i] if len(order) > 0 else i
        captured = np.int64(columns.payload_captured[row])
        if captured == 0 or not (protocol < 0 or columns.protocol[row] == protocol):
            continue
        if not (hosts[columns.src[row]] or hosts[columns.dst[row]]):
            continue
        first = columns.frame_offset[row] + columns.payload_start[row] - base
        if first < 0 or first + captured > len(data):
            return i
        if captured <= 65_535:
            out[row] = _one_entropy(data, first, first + captured, bins, logs)
        else:
            out[row] = _one_entropy(data, first, first + captured, wide, logs)
    return len(out)


@kernel
def _growing_entropy(
    data: npt.NDArray[np.uint8],
    lengths: npt.NDArray[np.int64],
    logs: npt.NDArray[np.float64],
    out: npt.NDArray[np.float64],
) -> None:
    """Entropy of the first ``lengths[k]`` bytes, for each k; lengths ascend."""
    bins = np.zeros(256, np.int64)
    total = 0.0
    done = 0
    for k in range(len(lengths)):
        for i in range(done, lengths[k]):
            count = bins[data[i]]
            total += logs[count + 1] - logs[count]
            bins[data[i]] = count + 1
        done = lengths[k]
        out[k] = (logs[done] - total) / done
