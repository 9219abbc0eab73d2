"""Shannon entropy of payload bytes."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit._jit import Int, kernel
from toolkit.columns import Columns
from toolkit.trace import Trace

ANY_PROTOCOL = -1
_LARGE = 1 << 20  # bytes from which a table of n * log2(n) would cost more than it saves
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
    for data, base in trace.payload_places():
        _entropies(data, base, trace.columns, hosts, protocol, table, out)
    return out


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
    hosts: npt.NDArray[np.bool_],
    protocol: Int,
    logs: npt.NDArray[np.float64],
    out: npt.NDArray[np.float64],
) -> None:
    bins = np.zeros((2, 256), np.uint16)  # narrow ones are added up and cleared twice as fast
    wide = np.zeros((2, 256), np.uint32)
    for row in range(len(out)):
        captured = np.int64(columns.payload_captured[row])
        if captured == 0 or not (protocol < 0 or columns.protocol[row] == protocol):
            continue
        if not (hosts[columns.src[row]] or hosts[columns.dst[row]]):
            continue
        first = columns.frame_offset[row] - base
        if 0 <= first < len(data):
            first += columns.payload_start[row]
            if captured <= 65_535:
                out[row] = _one_entropy(data, first, first + captured, bins, logs)
            else:
                out[row] = _one_entropy(data, first, first + captured, wide, logs)
