"""What the charts draw, packet by packet and value by value: slow, obvious, and exact as long as it can be.

Times are int nanoseconds, shares are a `Fraction`. Nothing here comes from `toolkit`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal, localcontext
from fractions import Fraction

import reference
from reference import TCP, UDP, Packet, Pair, client_target, is_client

SIDES = ("up", "down")
MS, SECOND, MINUTE, HOUR, DAY = 10**6, 10**9, 60 * 10**9, 3_600 * 10**9, 86_400 * 10**9
WIDTHS = [
    *(MS, 10 * MS, 100 * MS),
    *(SECOND, 5 * SECOND, 15 * SECOND),
    *(MINUTE, 5 * MINUTE, 15 * MINUTE),
    *(HOUR, 6 * HOUR, DAY, 7 * DAY),
]
"""From which `direction_timeline` chooses."""

with localcontext() as _context:
    _context.prec = 60
    GAP_EDGES = [int((1_000 * Decimal(10) ** (Decimal(k) / 40)).to_integral_value()) for k in range(361)]
"""Nanoseconds at which `interval_cdf` counts: 40 a decade from 1 µs to 1,000 s."""


def _end(packet: Packet, side: str) -> str:
    return packet.src if side == "up" else packet.dst


# Timing


def gaps(windows: Iterable[Sequence[Packet]], networks: Sequence[str], side: str) -> list[int]:
    """Give the gaps of one direction of every window, in nanoseconds."""
    found = []
    for window in windows:
        found += reference._gaps([p for p in window if p.protocol == TCP and is_client(_end(p, side), networks)])
    return found


def at_most(values: Iterable[int], edge: int) -> int:
    return sum(value <= edge for value in values)


def timeline(
    packets: Sequence[Packet], networks: Sequence[str], width: int, origin: int | None = None
) -> dict[int, dict[str, int]]:
    """Give packets and bytes each way of each window that holds a packet, by its number from `origin`."""
    result: dict[int, dict[str, int]] = {}
    start = min((packet.time_ns for packet in packets), default=0) if origin is None else origin
    for packet in sorted(packets, key=lambda each: each.time_ns):
        empty = {f"{what}_{side}": 0 for what in ("packets", "bytes") for side in SIDES}
        row = result.setdefault((packet.time_ns - start) // width, empty)
        for side in SIDES:
            if is_client(_end(packet, side), networks):
                row[f"packets_{side}"] += 1
                row[f"bytes_{side}"] += packet.ip_length
    return result


def pairs(packets: Sequence[Packet], networks: Sequence[str]) -> list[tuple[Pair, dict[str, int]]]:
    """Add up each pair; most packets first, of equally many the one whose first packet is earlier in the file."""
    found: dict[Pair, dict[str, int]] = {}
    for packet in packets:
        pair = client_target(packet, networks)
        if pair is None:
            continue
        if pair not in found:
            found[pair] = {f"{what}_{side}": 0 for what in ("packets", "bytes", "payload") for side in SIDES}
            found[pair] |= {"first": packet.time_ns, "last": packet.time_ns}
        row = found[pair]
        side = "up" if packet.src == pair[0] else "down"
        row[f"packets_{side}"] += 1
        row[f"bytes_{side}"] += packet.ip_length
        if packet.protocol in (TCP, UDP):
            row[f"payload_{side}"] += packet.payload_length
        row["first"] = min(row["first"], packet.time_ns)
        row["last"] = max(row["last"], packet.time_ns)
    return sorted(found.items(), key=lambda item: -item[1]["packets_up"] - item[1]["packets_down"])


def kept(
    packets: Sequence[Packet], networks: Sequence[str], width: int, n: int, *, remainder: bool = False
) -> tuple[int, int, int]:
    """Count windows of `n` packets within time windows of `width`, the packets in them, and those of all pairs.

    With `remainder`, what is left of a pair is one more window.
    """
    windows = members = of = 0
    for indices in reference.time_windows(packets, width).values():
        inside = [packets[index] for index in indices]
        cut = reference.client_windows(inside, networks, n)
        windows += len(cut)
        members += sum(len(window) for _, _, window in cut)
        of += sum(client_target(packet, networks) is not None for packet in inside)
        if remainder:
            left = Counter(client_target(packet, networks) for packet in inside)
            del left[None]
            windows += sum(count % n > 0 for count in left.values())
            members += sum(count % n for count in left.values())
    return windows, members, of


# Comparison


def mean(values: Sequence[float]) -> Fraction:
    return sum((Fraction(value) for value in values), Fraction(0)) / max(len(values), 1)


def share(values: Sequence[float], bound: float) -> Fraction:
    """Give the share of the values that are at most `bound`."""
    return Fraction(sum(value <= bound for value in values), len(values))


def distance(a: Sequence[float], b: Sequence[float]) -> Fraction:
    """Kolmogorov-Smirnov: the largest difference between two distribution functions."""
    return max(abs(share(a, bound) - share(b, bound)) for bound in [*a, *b])


# Entropy


def _exact_entropy(payload: bytes) -> Decimal:
    with localcontext() as context:
        context.prec = 40
        total, two = len(payload), Decimal(2).ln()
        return sum(
            (count * (Decimal(total) / count).ln() / (total * two) for count in Counter(payload).values()), Decimal(0)
        )


def entropy_cells(
    payloads: Iterable[bytes], max_length: int, length_step: int, cells_per_bit: int
) -> dict[tuple[int, int], int]:
    """Count packets by the numbers of their length step and their entropy cell; empty and longer ones are left out."""
    cells: Counter[tuple[int, int]] = Counter()
    for payload in payloads:
        if 0 < len(payload) <= max_length:
            # 40 digits leave an edge at most 1e-30 below itself
            level = math.floor(_exact_entropy(payload) * cells_per_bit + Decimal("1e-30"))
            cells[len(payload) // length_step, min(level, 8 * cells_per_bit - 1)] += 1
    return dict(cells)


def _partitions(n: int, largest: int) -> Iterator[list[int]]:
    if n == 0:
        yield []
    for first in range(min(n, largest), 0, -1):
        for rest in _partitions(n - first, first):
            yield [first, *rest]


def random_entropies(n: int) -> list[tuple[Fraction, float]]:
    """Give every way in which `n` random bytes can repeat each other: how probable it is, and its entropy."""
    found = []
    for counts in _partitions(n, n):
        orders = math.factorial(n) // math.prod(math.factorial(count) for count in counts)
        values = math.perm(256, len(counts)) // math.prod(math.factorial(m) for m in Counter(counts).values())
        bits = math.fsum(count / n * math.log2(n / count) for count in counts)
        found.append((Fraction(orders * values, 256**n), bits))
    return found
