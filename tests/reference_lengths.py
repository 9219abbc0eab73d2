"""Mean shift of lengths, packet by packet: slow, obvious, and aware of where floating point decides."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np


class Reference(NamedTuple):
    """What `mean_shift` found.

    Attributes
    ----------
    clusters
        (centre, distinct lengths, packets) in the order of the result.
    tied
        Lengths exactly half-way between two centres.
    fragile
        Whether a length or a centre lies on the edge of a window but for rounding, so that how a distance is
        computed decides (scikit-learn does it in one way for few points, in another for many).
    """

    clusters: list[tuple[float, list[int], int]]
    tied: set[int]
    fragile: bool


def mean_shift(lengths: list[int], bandwidth: float) -> Reference:
    fragile = False

    def within(points: list[Fraction], middle: float | Fraction, *, many: int) -> list[Fraction]:
        nonlocal fragile
        found = []
        for point in points:
            distance = float(point) - float(middle)
            if distance * distance <= bandwidth * bandwidth:
                found.append(point)
            exact = all(float(8 * number).is_integer() for number in (point, middle))
            if not exact and abs(abs(distance) - bandwidth) < (1e-6 if many < 12 else 1e-10):
                fragile = True
        return found

    points = [Fraction(length) for length in lengths]
    bins = {float(np.round(length / bandwidth)) for length in lengths}
    seeds = [float(np.float32(place) * np.float32(bandwidth)) for place in bins]
    if len(bins) == len(lengths):
        seeds = [float(length) for length in lengths]

    packets_within: dict[Fraction, int] = {}
    for seed in seeds:
        mean: float | Fraction = seed
        for _ in range(301):
            window = within(points, mean, many=len(points))
            before, mean = mean, sum(window) / Fraction(len(window))
            if abs(float(mean) - float(before)) <= 1e-3 * bandwidth:
                break
        packets_within[Fraction(mean)] = len(window)

    ranked = sorted(packets_within, key=lambda centre: (packets_within[centre], centre), reverse=True)
    centres: list[Fraction] = []
    dropped: set[Fraction] = set()
    for centre in ranked:
        if centre not in dropped:
            centres.append(centre)
            dropped.update(within(ranked, centre, many=len(ranked)))

    members: dict[Fraction, list[int]] = {centre: [] for centre in centres}
    tied = set()
    for length in lengths:
        nearest = min(abs(length - centre) for centre in centres)
        best, *others = [centre for centre in centres if abs(length - centre) == nearest]
        members[best].append(length)
        if others:
            tied.add(length)
    clusters = [(float(centre), sorted(set(inside)), len(inside)) for centre, inside in members.items() if inside]
    return Reference(sorted(clusters, key=lambda cluster: (-cluster[2], cluster[1][0])), tied, fragile)
