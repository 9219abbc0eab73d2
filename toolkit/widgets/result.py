"""What a tab of the explorer shows."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from toolkit.capture.health import Health
from toolkit.comparison import FeatureComparison, interval_bin_shares
from toolkit.entropy import EntropyCounts, entropy_ceiling
from toolkit.lengths import LengthClusters, LengthCounts
from toolkit.plots.payload import ceiling_lengths
from toolkit.widgets.state import Choices


class NothingMatchesError(ValueError):
    """No packet meets the choices; the message names the busiest hosts."""


@dataclass(frozen=True, eq=False)
class Result:
    """What a tab shows, and the choices that it belongs to.

    Attributes
    ----------
    choices
        As they were when it was computed.
    packets
        How many the selection has.
    note
        One sentence about what is shown.
    without
        Labels of captures that were to be compared, but have nothing to compare.
    pages
        Of the packets.
    counts, clusters, sweep, tables, gaps, entropy, timeline, edges_from, windows, comparison, correlation, page,
    beginning, health
        What the tab needs; the others are None.
    """

    choices: Choices
    packets: int
    note: str
    without: tuple[str, ...] = ()
    pages: int = 1
    counts: LengthCounts | None = None
    clusters: LengthClusters | None = None
    sweep: pd.DataFrame | None = None
    tables: dict[str, pd.DataFrame] | None = None
    gaps: dict[str, pd.DataFrame] | None = None
    entropy: EntropyCounts | None = None
    timeline: pd.DataFrame | None = None
    edges_from: pd.Timedelta | None = None
    windows: pd.DataFrame | None = None
    comparison: FeatureComparison | None = None
    correlation: pd.DataFrame | None = None
    page: pd.DataFrame | None = None
    beginning: pd.Timestamp | None = None
    health: Health | None = None

    @property
    def has_picture(self) -> bool:
        """Whether there is anything to draw."""
        return any(getattr(self, name) is not None for name in _DRAWN)

    def looks_like(self, other: Result) -> bool:
        """Say whether this picture is the picture of another result: made of the same values, shown the same way."""
        return self._pictured() == other._pictured()

    def _pictured(self) -> tuple[object, ...]:
        """Give what the picture depends on. What was kept from the last result is the same object."""
        choices = self.choices
        shown = {
            "lengths": (choices.top,),
            "bandwidth": (choices.bandwidth,),
            "windows": (choices.time_window, choices.packet_window),
        }.get(choices.tab)
        values = [getattr(self, name) for name in _PICTURED]
        parts = [tuple(value.items()) if isinstance(value, dict) else ((None, value),) for value in values]
        return choices.tab, shown, tuple(tuple((label, id(value)) for label, value in part) for part in parts)

    def has_lengths_of(self, other: Result) -> bool:
        """Say whether the bars are those of another result, if in other colours."""
        if self.clusters is None or other.clusters is None or self.counts is not other.counts:
            return False
        return len(self.clusters) > 0 and self.choices.top == other.choices.top

    def frames(self) -> dict[str, pd.DataFrame]:
        """Give what is shown as tables, by name."""
        found: dict[str, pd.DataFrame] = {}
        if self.clusters is not None:
            found["clusters"] = self.clusters.to_frame()
            lengths = {"packets": self.clusters.counts, "cluster": self.clusters.labels}
            found["lengths"] = pd.DataFrame(lengths, index=pd.Index(self.clusters.unique_lengths, name="length"))
        if self.sweep is not None:
            found["sweep"] = self.sweep
        if self.choices.tab == "intervals" and self.tables is not None and self.gaps is not None:
            for label, table in self.tables.items():
                found[f"bins {label}"] = interval_bin_shares(table)
                found[f"gaps {label}"] = self.gaps[label]
        if self.entropy is not None:
            found["packets"] = self.entropy.cells
            found["random bytes"] = entropy_ceiling(ceiling_lengths(self.entropy))
        if self.timeline is not None and self.windows is not None:
            found |= {"timeline": self.timeline, "windows": self.windows}
        if self.correlation is not None:
            found["correlation"] = self.correlation
        if self.comparison is not None:
            found["distances"] = self.comparison.distances
        if self.choices.tab == "features" and self.tables is not None:
            found |= {f"features {label}": table for label, table in self.tables.items()}
        if self.page is not None:
            found["packets"] = self.page
        if self.health is not None:
            found["health"] = self.health.to_frame()
        return found


_DRAWN = ("clusters", "sweep", "gaps", "entropy", "timeline", "comparison", "correlation")
_PICTURED = ("clusters", "sweep", "tables", "gaps", "entropy", "timeline", "windows", "comparison", "correlation")
