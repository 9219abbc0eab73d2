"""What feature tables say in sum: shares of bins, how far labelled traces are apart, what goes together."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit.features import FEATURES, INTERVAL_EDGES, LENGTH_EDGES, feature_names

Correlation: TypeAlias = Literal["spearman", "pearson"]

_POINTS = 201
"""Points of a curve of `compare_features`."""


def interval_bin_shares(table: pd.DataFrame) -> pd.DataFrame:
    """Average the interval bins of a feature table over its windows.

    Parameters
    ----------
    table
        From `toolkit.client_features` or `toolkit.window_features`, with the set ``"interval_bins"``.

    Returns
    -------
    DataFrame of shape (4, 2)
        Share of the TCP packets whose gap to the one before lies in the bin; index: upper edge in µs, columns ``up``
        and ``down``.

    Raises
    ------
    ValueError
        If the table has no interval bins.

    Examples
    --------
    >>> import toolkit
    >>> trace = toolkit.load_example("obfs4")
    >>> interval_bin_shares(toolkit.client_features(trace, "10.77.0.0/24")).index.tolist()
    [1000, 10000, 100000, 1000000]
    """
    return _bin_shares(table, INTERVAL_EDGES, "interval", "µs")


def length_bin_shares(table: pd.DataFrame) -> pd.DataFrame:
    """Average the payload-length bins of a feature table over its windows.

    Parameters
    ----------
    table
        From `toolkit.client_features` or `toolkit.window_features`, with the set ``"tcp_len_bins"``.

    Returns
    -------
    DataFrame of shape (15, 2)
        Share of the TCP packets whose payload length lies in the bin; index: upper edge in bytes, columns ``up`` and
        ``down``.

    Raises
    ------
    ValueError
        If the table has no length bins.

    Examples
    --------
    >>> import toolkit
    >>> trace = toolkit.load_example("obfs4")
    >>> length_bin_shares(toolkit.client_features(trace, "10.77.0.0/24")).round(2).head(2)
                          up  down
    upper edge (bytes)
    100                 0.60  0.30
    200                 0.02  0.01
    """
    return _bin_shares(table, LENGTH_EDGES, "len", "bytes")


def _bin_shares(table: pd.DataFrame, edges: tuple[int, ...], quantity: str, unit: str) -> pd.DataFrame:
    names = {side: [f"bin_{edge}_{quantity}_{side}" for edge in edges] for side in ("up", "down")}
    missing = [name for side in names.values() for name in side if name not in table.columns]
    if missing:
        feature_set = FEATURES[missing[0]].set
        raise ValueError(f"the feature table has no {missing[0]!r}: compute it with the set {feature_set!r}")
    shares = {side: table[columns].mean().fillna(0.0).to_numpy() for side, columns in names.items()}
    return pd.DataFrame(shares, index=pd.Index(edges, name=f"upper edge ({unit})"))


@dataclass(frozen=True, eq=False)
class FeatureComparison:
    """How far apart the features of labelled traces are. Made by `compare_features`.

    Attributes
    ----------
    distances
        Index ``feature``, farthest apart first: ``distance`` (0 to 1, NaN where fewer than two tables have windows),
        ``first`` and ``second`` (the labels that are so far apart), ``at`` (the value of the feature there) and
        ``first_share`` and ``second_share`` (the shares of their windows whose feature is at most that).
    curves
        What is drawn: ``feature``, ``label``, ``value``, and ``share``, that of the label's windows whose feature is at
        most `value`; at most 201 points a curve.
    windows
        Number of windows of each label, in the order given.
    """

    distances: pd.DataFrame
    curves: pd.DataFrame
    windows: dict[str, int]


def compare_features(
    tables: Mapping[str, pd.DataFrame], features: str | Iterable[str] | None = None
) -> FeatureComparison:
    """Say by which features labelled traces can be told apart, one feature at a time.

    The distance is the two-sample Kolmogorov-Smirnov statistic, the largest difference between the two empirical
    distribution functions: 0 if they are equal, 1 if one threshold on this feature separates every window of one from
    every window of the other. Of more than two tables the largest distance of any two counts.

    Source: N. Smirnov, "Table for estimating the goodness of fit of empirical distributions", Annals of Mathematical
    Statistics 19(2), 279-281, 1948.

    Parameters
    ----------
    tables
        Feature tables by their labels, two or more.
    features
        Sets or single features as in `toolkit.window_features`; None for all that every table has.

    Returns
    -------
    FeatureComparison
        Distances and distribution functions. Windows are not independent (those of one connection resemble each other),
        so no significance is given.

    Raises
    ------
    ValueError
        If there are fewer than two tables, or one lacks a feature that is asked for.

    Examples
    --------
    >>> import toolkit
    >>> tables = {
    ...     name: toolkit.client_features(toolkit.load_example(name), toolkit.example(name).proxied_clients)
    ...     for name in ("obfs4", "trojan")
    ... }
    >>> compare_features(tables, ["psh", "tcp_len"]).distances.iloc[:2, :4].round(2)
                     distance  first  second     at
    feature
    top2_tcp_len_up      0.95  obfs4  trojan  142.0
    mean_tcp_len_up      0.86  obfs4  trojan  199.4
    """
    if len(tables) < 2:
        raise ValueError(f"`tables` must hold at least two feature tables, got {len(tables)}")
    names = _chosen(tables, features)
    values = {label: {name: np.sort(table[name].to_numpy()) for name in names} for label, table in tables.items()}
    distances = [_farthest({label: columns[name] for label, columns in values.items()}) for name in names]
    frame = pd.DataFrame(distances, columns=["distance", "first", "second", "at", "first_share", "second_share"])
    frame.index = pd.Index(names, name="feature", dtype=object)
    frame = frame.sort_values("distance", ascending=False, kind="stable")
    curves = [
        pd.DataFrame({"feature": name, "label": label, "value": curve[0], "share": curve[1]})
        for name in frame.index
        for label, columns in values.items()
        for curve in [_curve(columns[name])]
    ]
    return FeatureComparison(
        frame, pd.concat(curves, ignore_index=True), {label: len(table) for label, table in tables.items()}
    )


def _chosen(tables: Mapping[str, pd.DataFrame], features: str | Iterable[str] | None) -> tuple[str, ...]:
    """Give the features asked for, in the order of `FEATURES`; of each table it must have all."""
    if features is None:
        chosen = tuple(name for name in FEATURES.names if all(name in table.columns for table in tables.values()))
        if not chosen:
            raise ValueError(
                "the feature table has no feature" if len(tables) == 1 else "the tables have no feature in common"
            )
        return chosen
    wanted = [features] if isinstance(features, str) else list(features)
    asked = feature_names(wanted)
    # `up_down_ratio` comes with every table, but is shown only to who asks
    chosen = tuple(name for name in asked if FEATURES[name].set != "always" or name in wanted)
    for label, table in tables.items():
        for name in chosen:
            if name not in table.columns:
                raise ValueError(f"the feature table {repr(label) + ' ' if label else ''}has no {name!r}")
    if not chosen:
        raise ValueError("`features` must name at least one set or feature, got none")
    return chosen


def _farthest(samples: Mapping[str, npt.NDArray[np.float64]]) -> tuple[float, str, str, float, float, float]:
    nan = float("nan")
    best = (nan, "", "", nan, nan, nan)
    for (first, a), (second, b) in itertools.combinations(samples.items(), 2):
        if not len(a) or not len(b):
            continue
        points = np.unique(np.concatenate([a, b]))
        shares = _share(a, points), _share(b, points)
        apart = np.abs(shares[0] - shares[1])
        place = int(apart.argmax())
        if not apart[place] <= best[0]:  # (nothing is above NaN)
            ends = float(shares[0][place]), float(shares[1][place])
            best = (float(apart[place]), first, second, float(points[place]), *ends)
    return best


def _share(ordered: npt.NDArray[np.float64], points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Give the share of a sorted sample that is at most each of some points."""
    shares: npt.NDArray[np.float64] = np.searchsorted(ordered, points, side="right") / len(ordered)
    return shares


def _curve(ordered: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Empirical distribution function of a sorted sample, thinned to evenly spaced ranks; each point is exact."""
    if not len(ordered):
        return ordered, ordered
    points = np.unique(ordered)
    if len(points) > _POINTS:
        ranks = np.linspace(0, len(ordered) - 1, _POINTS).round().astype(np.int64)
        points = np.unique(ordered[ranks])
    return points, _share(ordered, points)


def feature_correlation(
    table: pd.DataFrame, features: str | Iterable[str] | None = None, *, method: Correlation = "spearman"
) -> pd.DataFrame:
    """Correlate the features of a table over its windows.

    Parameters
    ----------
    table
        A feature table.
    features
        Sets or single features; None for all that the table has.
    method
        ``"spearman"`` (of ranks, so that any monotonic relation counts) or ``"pearson"`` (linear).

    Returns
    -------
    DataFrame of shape (features, features)
        From -1 to 1, in the order of `toolkit.FEATURES`. Features with one value in all windows are left out: they
        have no correlation.

    Raises
    ------
    ValueError
        If the table lacks a feature, or `method` is none of these.

    Examples
    --------
    >>> import toolkit
    >>> table = toolkit.client_features(toolkit.load_example("obfs4"), "10.77.0.0/24")
    >>> feature_correlation(table, ["mean_tcp_len_down", "mean_entropy_down"]).round(2)
                       mean_entropy_down  mean_tcp_len_down
    mean_entropy_down               1.00               0.96
    mean_tcp_len_down               0.96               1.00
    """
    if method not in ("spearman", "pearson"):
        raise ValueError(f"`method` must be 'spearman' or 'pearson', got {method!r}")
    names = list(_chosen({"": table}, features))
    varied = [name for name in names if table[name].nunique() > 1]
    correlation: Any = table[varied].corr(method=method)
    return pd.DataFrame(correlation)
