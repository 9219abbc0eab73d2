"""Which packets belong together: by time window and by (client, target), in one pass over the packets."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from toolkit._jit import Int, kernel
from toolkit.hosts import Networks
from toolkit.trace import Trace

Index: TypeAlias = npt.NDArray[np.int32]
Numbers: TypeAlias = npt.NDArray[np.int64]

_CHUNK = 65_536


class Groups(NamedTuple):
    """Packets by time window and pair; what each field holds for group ``g`` is at its place ``g``."""

    order: Index  # rows, group by group
    bounds: Numbers  # where each group starts in `order`, and where the last one ends
    key: Numbers  # time window of each
    client: Index
    target: Index


def group_packets(trace: Trace, clients: Networks | None, order: Index | None, width: int | None) -> Groups:
    """Group rows (in `order`) by time window and, where there are clients, by pair; in order of first packet."""
    n = len(trace)
    time = trace.column("time")
    if clients is None:
        rank, networks = np.zeros(0, np.int32), 0
    else:
        rank, networks = trace.client_rank(clients)
    src, dst = trace.column("src"), trace.column("dst")
    group = np.empty(n, np.int32)
    t0 = 0
    if n and width is not None:
        t0, latest = (int(time[i if order is None else order[i]]) for i in (0, -1))
        if (latest - t0) // width > np.iinfo(np.int64).max:
            raise ValueError(f"windows of {width} ns are too short for a trace of {latest - t0} ns: is a clock wrong?")
    table = np.full(1, -1, np.int32)
    pairs = np.empty((0, 3), np.int32)  # client, target, the group it last had
    found = np.empty((0, 4), np.int64)  # time window, client, target, packets of each group
    n_pairs = n_groups = 0
    for first in range(0, n, _CHUNK):
        last = min(first + _CHUNK, n)
        need = n_groups + last - first
        if need > len(found):
            found = _grown(found, max(need, 2 * len(found)))
        if n_pairs + last - first > len(pairs):
            pairs = _grown(pairs, max(n_pairs + last - first, 2 * len(pairs)))
            table = np.full(1 << (2 * len(pairs) - 1).bit_length(), -1, np.int32)
            _enter_pairs(table, pairs, n_pairs)
        n_pairs, n_groups = _assign(
            first, last, time, t0, width or 0, order if order is not None else _NO_ORDER, src, dst, rank, networks,
            table, pairs, n_pairs, found, n_groups, group,
        )  # fmt: skip
    found = found[:n_groups]
    bounds = np.zeros(n_groups + 1, np.int64)
    np.cumsum(found[:, 3], out=bounds[1:])
    sorted_rows = np.empty(int(bounds[-1]), np.int32)
    _sort_by_group(group, bounds[:-1].copy(), order if order is not None else _NO_ORDER, sorted_rows)
    return Groups(sorted_rows, bounds, found[:, 0].copy(), found[:, 1].astype(np.int32), found[:, 2].astype(np.int32))


_NO_ORDER = np.empty(0, np.int32)


def _grown(table: Any, rows: int) -> Any:
    larger = np.zeros((rows, table.shape[1]), table.dtype)
    larger[: len(table)] = table
    return larger


@kernel
def is_sorted(time: Numbers) -> bool:
    """Whether no time is before the one in the row above."""
    for i in range(1, len(time)):  # noqa: SIM110 - numba compiles no generator expressions
        if time[i - 1] > time[i]:
            return False
    return True


@kernel
def _pair_slot(client: Int, target: Int, mask: Int) -> Int:
    mixed = (np.uint64(client) << np.uint64(32) | np.uint64(target)) * np.uint64(0x9E3779B97F4A7C15)
    return np.int64(mixed >> np.uint64(32)) & mask


@kernel
def _enter_pairs(table: Index, pairs: Index, known: Int) -> None:
    mask = len(table) - 1
    for number in range(known):
        slot = _pair_slot(np.int64(pairs[number, 0]), np.int64(pairs[number, 1]), mask)
        while table[slot] >= 0:
            slot = (slot + 1) & mask
        table[slot] = number


@kernel
def _assign(
    first: Int, last: Int, time: Numbers, t0: Int, width: Int, order: Index, src: Index, dst: Index,
    rank: Index, networks: Int, table: Index, pairs: Index, n_pairs: Int, found: Numbers, n_groups: Int, group: Index,
) -> tuple[Int, Int]:  # fmt: skip
    """Give each packet from `first` to `last` the number of its group, -1 for none, and count them."""
    mask = len(table) - 1
    # the end of time window k, as time since t0; unsigned, since the clock may span more than 2^63 ns
    key: Int = np.int64(-1)
    key_first = np.uint64(0)
    step = np.uint64(width)
    for i in range(first, last):
        row = np.int64(order[i]) if len(order) else i
        if width > 0:
            since = np.uint64(time[row]) - np.uint64(t0)
            if key < 0 or since - key_first >= step:
                key = np.int64(since // step)
                key_first = np.uint64(key) * step
        else:
            key = 0
        client = target = np.int32(0)
        if networks > 0:
            a, b = src[row], dst[row]
            if rank[a] <= rank[b] and rank[a] < networks:
                client, target = a, b
            elif rank[b] < networks:
                client, target = b, a
            else:
                group[i] = -1
                continue
        slot = _pair_slot(np.int64(client), np.int64(target), mask)
        pair = np.int64(-1)
        while table[slot] >= 0:
            number = np.int64(table[slot])
            if pairs[number, 0] == client and pairs[number, 1] == target:
                pair = number
                break
            slot = (slot + 1) & mask
        if pair < 0:
            pair = n_pairs
            table[slot] = pair
            pairs[pair, 0] = client
            pairs[pair, 1] = target
            pairs[pair, 2] = -1
            n_pairs += 1
        mine = np.int64(pairs[pair, 2])
        if mine < 0 or found[mine, 0] != key:
            mine = n_groups
            pairs[pair, 2] = mine
            found[mine, 0] = key
            found[mine, 1] = client
            found[mine, 2] = target
            found[mine, 3] = 0
            n_groups += 1
        found[mine, 3] += 1
        group[i] = mine
    return n_pairs, n_groups


@kernel
def _sort_by_group(group: Index, place: Numbers, order: Index, out: Index) -> None:
    """Sort by counting, stable: `place` is where the next packet of each group goes."""
    for i in range(len(group)):
        mine = group[i]
        if mine >= 0:
            out[place[mine]] = order[i] if len(order) else i
            place[mine] += 1


@kernel
def cut(bounds: Numbers, n: Int, keep: bool) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Cut groups into windows of `n`: start and stop of each, its number in its group, and its group."""
    total = 0
    for g in range(len(bounds) - 1):
        size = bounds[g + 1] - bounds[g]
        total += size // n + (1 if keep and size % n else 0)
    start = np.empty(total, np.int64)
    stop = np.empty(total, np.int64)
    window = np.empty(total, np.int64)
    group = np.empty(total, np.int64)
    i = 0
    for g in range(len(bounds) - 1):
        size = bounds[g + 1] - bounds[g]
        for k in range(size // n + (1 if keep and size % n else 0)):
            start[i] = bounds[g] + k * n
            stop[i] = min(start[i] + n, bounds[g + 1])
            window[i] = k
            group[i] = g
            i += 1
    return start, stop, window, group
