"""Flat-kernel mean shift on (integer, count): what scikit-learn's `MeanShift` finds, without a row a packet."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from toolkit._jit import kernel

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]

LONGEST = 1 << 20
"""Seeds are float32: up to here they lie much closer to their length than the narrowest window."""

_STEPS = 300


def mean_shift(lengths: Ints, counts: Ints, bandwidth: float) -> tuple[Floats, npt.NDArray[np.intp]]:
    """Give the centres in ascending order, and the place of the centre of each length among them."""
    lengths, counts = lengths.astype(np.int64), counts.astype(np.int64)  # one type, for which numba compiles once
    bandwidth = min(bandwidth, 2.0 * LONGEST)  # wider changes nothing, and float32 overflows
    bins = np.unique(np.round(lengths / max(bandwidth, 0.5)))
    if bandwidth < 0.5 or len(bins) == counts.sum():
        seeds = lengths.astype(np.float64)  # no window holds two lengths, or scikit-learn does so, with a warning
    else:
        seeds = (bins.astype(np.float32) * np.float32(bandwidth)).astype(np.float64)
    packets_before = np.concatenate(([0], counts.cumsum()))
    bytes_before = np.concatenate(([0], (counts * lengths).cumsum()))
    size, total = _climb(lengths, packets_before, bytes_before, seeds, bandwidth)
    position, first = np.unique(total / size, return_index=True)
    size, total = size[first], total[first]
    ranked = np.lexsort((position, size))[::-1]
    stays = _drop_close(position, ranked, bandwidth)
    rank = np.empty(len(position), np.int64)
    rank[ranked] = np.arange(len(ranked))
    last = _last_lengths(total[stays], size[stays], rank[stays])
    return position[stays], np.searchsorted(last, lengths)


@kernel
def _climb(
    lengths: Ints, packets_before: Ints, bytes_before: Ints, seeds: Floats, bandwidth: float
) -> tuple[Ints, Ints]:
    """Follow each seed (ascending) to its centre: how many packets its last window holds, and how many bytes."""
    n = len(lengths)
    size, total = np.empty(len(seeds), np.int64), np.empty(len(seeds), np.int64)
    square = bandwidth * bandwidth  # squares are what scikit-learn's tree compares
    start = end = 0
    for i in range(len(seeds)):
        mean = seeds[i]
        low, high = start, end  # the window is lengths[low:high]
        for step in range(_STEPS + 1):
            while low > 0 and (lengths[low - 1] >= mean or (lengths[low - 1] - mean) ** 2 <= square):
                low -= 1
            while low < n and lengths[low] < mean and (lengths[low] - mean) ** 2 > square:
                low += 1
            while high < n and (lengths[high] <= mean or (lengths[high] - mean) ** 2 <= square):
                high += 1
            while high > 0 and lengths[high - 1] > mean and (lengths[high - 1] - mean) ** 2 > square:
                high -= 1
            if step == 0:
                start, end = low, high
            size[i] = packets_before[high] - packets_before[low]
            total[i] = bytes_before[high] - bytes_before[low]
            before = mean
            mean = total[i] / size[i]
            if abs(mean - before) <= 1e-3 * bandwidth:
                break
    return size, total


@kernel
def _drop_close(position: Floats, ranked: npt.NDArray[np.intp], bandwidth: float) -> npt.NDArray[np.bool_]:
    """Tell which centres (ascending) stay when each, from the best, drops those within `bandwidth` of it."""
    n = len(position)
    stays = np.ones(n, np.bool_)
    square = bandwidth * bandwidth
    for i in ranked:
        if stays[i]:
            j = i - 1
            while j >= 0 and (position[i] - position[j]) ** 2 <= square:
                stays[j] = False
                j -= 1
            j = i + 1
            while j < n and (position[j] - position[i]) ** 2 <= square:
                stays[j] = False
                j += 1
    return stays


def _last_lengths(total: Ints, size: Ints, rank: Ints) -> Ints:
    """Give, for each centre ``total / size`` (ascending) but the last, the last length that is not the next one's.

    In integers, for rounded centres do not tell a tie from a near miss. Exact up to 2**31 packets.
    """
    whole, rest = np.divmod(total, size)
    rests = rest[:-1] * size[1:] + rest[1:] * size[:-1]
    one = size[:-1] * size[1:]
    twice = whole[:-1] + whole[1:] + (rests >= one)  # twice the midpoint, rounded down
    tie = ((rests == 0) | (rests == one)) & (twice % 2 == 0)
    last: Ints = twice // 2 - (tie & (rank[1:] < rank[:-1]))
    return last
