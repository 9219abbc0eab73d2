"""Shares, distances and correlations: against loops over the rows, and against SciPy."""

from __future__ import annotations

import itertools
import math
import warnings
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference_charts as charts
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from making import from_capture, has_client, quick
from reference import Packet
from strategies import networks, packets

import toolkit
from toolkit import (
    FEATURES,
    client_features,
    compare_features,
    feature_correlation,
    interval_bin_shares,
    length_bin_shares,
)
from toolkit.features import INTERVAL_EDGES, LENGTH_EDGES

NAMES = ("mean_entropy_down", "top1_tcp_len_up", "push_ratio_up", "up_down_ratio")
ANY = st.floats(0, 1e7).map(lambda value: round(value, 9))
VALUES = st.sampled_from([0.0, 0.0, 0.1, 0.1 + 0.2, 0.3, 0.5, 1.0, 1448.0, 1e6]) | ANY


def table(rows: list[Any], names: tuple[str, ...] = NAMES) -> pd.DataFrame:
    return pd.DataFrame(np.array(rows, np.float64).reshape(-1, len(names)), columns=list(names))


def tables(names: tuple[str, ...] = NAMES, **sizes: int) -> st.SearchStrategy[pd.DataFrame]:
    return st.lists(st.tuples(*[VALUES] * len(names)), **sizes).map(lambda rows: table(rows, names))


def one(*values: float, name: str = "up_down_ratio") -> pd.DataFrame:
    return table(list(values), (name,))


def ks(a: Any, b: Any) -> float:
    """Give the statistic of SciPy, which warns of p-values of small samples."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return float(scipy.stats.ks_2samp(a, b, method="asymp").statistic)


@pytest.fixture(scope="module")
def samples() -> dict[str, pd.DataFrame]:
    return {
        name: client_features(toolkit.load_example(name), toolkit.example(name).clients, packet_window=10)
        for name in ("obfs4", "trojan", "https")
    }


# Shares of bins


@given(packets(), networks(), st.integers(1, 5))
@quick
def test_bin_shares_are_the_means_of_the_windows(given_packets: list[Packet], clients: list[str], n: int) -> None:
    if not has_client(given_packets, clients):
        return
    features = client_features(from_capture(given_packets), clients, packet_window=n)
    for function, edges, quantity in (
        (interval_bin_shares, INTERVAL_EDGES, "interval"),
        (length_bin_shares, LENGTH_EDGES, "len"),
    ):
        found = function(features)
        assert found.index.tolist() == list(edges)
        assert found.columns.tolist() == ["up", "down"]
        for edge, side in itertools.product(edges, ("up", "down")):
            expected = charts.mean(features[f"bin_{edge}_{quantity}_{side}"].tolist())
            assert found.loc[edge, side] == pytest.approx(float(expected), abs=1e-12)
    assert (interval_bin_shares(features).sum() <= 1 + 1e-12).all()


def test_bin_shares_of_no_window_are_0() -> None:
    nothing = client_features(toolkit.load_example("obfs4")[:0], "10.77.0.0/24")
    assert (interval_bin_shares(nothing) == 0).all(axis=None)
    assert interval_bin_shares(nothing).shape == (4, 2)
    assert length_bin_shares(nothing).shape == (15, 2)
    assert interval_bin_shares(nothing).index.name == "upper edge (µs)"
    assert length_bin_shares(nothing).index.name == "upper edge (bytes)"


def test_bin_shares_need_their_bins() -> None:
    features = client_features(toolkit.load_example("obfs4"), "10.77.0.0/24", features=["interval_bins", "psh"])
    with pytest.raises(ValueError, match="no 'bin_100_len_up': compute it with the set 'tcp_len_bins'"):
        length_bin_shares(features)
    with pytest.raises(ValueError, match="no 'bin_10000_interval_down': compute it with the set 'interval_bins'"):
        interval_bin_shares(features.drop(columns="bin_10000_interval_down"))
    assert interval_bin_shares(features).shape == (4, 2)


# Distances


@given(st.lists(tables(max_size=12), min_size=2, max_size=4))
@quick
def test_distances_are_the_reference(given_tables: list[pd.DataFrame]) -> None:
    named = dict(zip("dcba", given_tables, strict=False))
    found = compare_features(named)
    assert found.windows == {label: len(rows) for label, rows in named.items()}
    assert list(found.windows) == list(named)
    assert sorted(found.distances.index) == sorted(NAMES)
    for name, row in found.distances.iterrows():
        values = {label: rows[name].tolist() for label, rows in named.items() if len(rows)}
        apart = {pair: charts.distance(values[pair[0]], values[pair[1]]) for pair in itertools.combinations(values, 2)}
        if not apart:
            assert (row["first"], row["second"]) == ("", "")
            assert row.drop(["first", "second"]).isna().all()
            continue
        ends = row["first"], row["second"]  # in the order given
        assert apart[ends] == max(apart.values())
        # the difference at this very point, without any rounding
        shares = [charts.share(values[end], row["at"]) for end in ends]
        assert abs(shares[0] - shares[1]) == apart[ends]
        assert row["at"] in (*values[ends[0]], *values[ends[1]])
        assert [row["first_share"], row["second_share"]] == [float(share) for share in shares]
        assert row["distance"] == pytest.approx(float(apart[ends]), abs=1e-15)
        assert abs(row["first_share"] - row["second_share"]) == row["distance"]
        assert 0 <= row["distance"] <= 1
        statistic = ks(values[ends[0]], values[ends[1]])
        assert row["distance"] == pytest.approx(statistic, abs=1e-15)
    # farthest first, equally far ones in the order of FEATURES, NaN last
    order = [
        (
            math.isnan(row.distance),
            -row.distance if row.distance == row.distance else 0,
            FEATURES.names.index(row.Index),
        )
        for row in found.distances.itertuples()
    ]
    assert order == sorted(order)
    # the order of the tables makes no difference, nor does a monotonic change of the feature
    back = compare_features(dict(reversed(named.items()))).distances
    scaled = compare_features({label: rows * 2 for label, rows in named.items()}).distances
    for other in (back.loc[found.distances.index], scaled):
        assert other["distance"].equals(found.distances["distance"])


@given(st.lists(tables(max_size=12), min_size=2, max_size=3))
@quick
def test_curves_are_the_distribution_functions(given_tables: list[pd.DataFrame]) -> None:
    named = dict(zip("dcba", given_tables, strict=False))
    found = compare_features(named)
    assert found.curves.columns.tolist() == ["feature", "label", "value", "share"]
    drawn = {key: curve for key, curve in found.curves.groupby(["feature", "label"], sort=False)}
    assert list(drawn) == [(name, label) for name in found.distances.index for label in named if len(named[label])]
    for (name, label), curve in drawn.items():
        values = named[label][name].tolist()
        assert curve["value"].tolist() == sorted(set(values))
        assert curve["share"].tolist() == [float(charts.share(values, value)) for value in curve["value"]]


@pytest.mark.parametrize("size", [200, 201, 202, 203, 402, 1_000, 5_000])
@pytest.mark.parametrize("ties", [False, True])
def test_long_curves_are_thinned_but_exact(size: int, ties: bool) -> None:
    noise = np.random.default_rng(size)
    values = noise.normal(0, 1e5, size).round(-2 if ties else 9)
    values[: size // 4] = values[0]  # much of it is one value
    found = compare_features({"long": one(*values), "short": one(values[0])})
    curve = found.curves.query("label == 'long'")
    assert len(curve) <= 201
    assert len(found.curves.query("label == 'short'")) == 1
    ordered = np.sort(values)
    value, share = curve["value"].to_numpy(), curve["share"].to_numpy()
    assert (np.diff(value) > 0).all()
    assert (np.diff(share) > 0).all()
    assert share[-1] == 1
    assert value[[0, -1]].tolist() == ordered[[0, -1]].tolist()
    for point, height in zip(value, share, strict=True):
        assert height == float(Fraction(int((values <= point).sum()), size))
    # what is passed over between two points: nothing if they are few, else half a percent
    between = np.searchsorted(ordered, value[1:], side="left") - np.searchsorted(ordered, value[:-1], side="right")
    assert between.max() <= (0 if len(np.unique(values)) <= 201 else math.ceil(size / 200))
    assert found.distances["distance"].iloc[0] == pytest.approx(ks(values, values[:1]), abs=1e-14)


def test_distances_of_the_samples_are_those_of_scipy(samples: dict[str, pd.DataFrame]) -> None:
    for first, second in itertools.combinations(samples, 2):
        found = compare_features({first: samples[first], second: samples[second]})
        assert len(found.distances) == len(FEATURES)
        for name, row in found.distances.iterrows():
            assert row["distance"] == pytest.approx(ks(samples[first][name], samples[second][name]), abs=1e-14)
            assert abs(row["first_share"] - row["second_share"]) == row["distance"]
    three = compare_features(samples).distances
    two = [compare_features({a: samples[a], b: samples[b]}).distances for a, b in itertools.combinations(samples, 2)]
    largest = pd.concat([each["distance"] for each in two], axis=1).max(axis=1)
    assert three["distance"].equals(largest.loc[three.index].rename("distance"))


def test_distances_by_hand() -> None:
    row = compare_features({"a": one(1, 2, 2, 3), "b": one(3, 4)}).distances.iloc[0]
    assert row.tolist() == [0.75, "a", "b", 2, 0.75, 0]
    row = compare_features({"a": one(5), "b": one(5, 5, 5)}).distances.iloc[0]
    assert row.tolist() == [0, "a", "b", 5, 1, 1]
    row = compare_features({"a": one(1), "b": one(), "c": one(0.5, 1), "d": one(7)}).distances.iloc[0]
    assert row.tolist() == [1, "a", "d", 1, 1, 0]


def test_empty_tables_are_last() -> None:
    names = ("mean_entropy_up", "up_down_ratio")
    full, empty = table([(1, 2), (1, 3)], names), table([], names)
    found = compare_features({"a": empty, "b": full})
    assert found.distances["distance"].isna().all()
    assert found.distances.index.tolist() == list(names)
    assert found.windows == {"a": 0, "b": 2}
    assert set(found.curves["label"]) == {"b"}
    nothing = compare_features({"a": empty, "b": empty})
    assert nothing.curves.shape == (0, 4)
    assert compare_features({"a": empty, "b": full, "c": full}).distances["distance"].tolist() == [0, 0]


def test_choice_of_features(samples: dict[str, pd.DataFrame]) -> None:
    found = compare_features(samples, ["push_ratio_down", "tcp_len"])
    wanted = [f.name for f in FEATURES if f.set == "tcp_len" or f.name == "push_ratio_down"]
    assert sorted(found.distances.index) == sorted(wanted)
    assert compare_features(samples, "up_down_ratio").distances.index.tolist() == ["up_down_ratio"]
    assert len(compare_features(samples, iter(["psh", "up_down_ratio"])).distances) == 3
    # None: what all of them have
    some = samples | {"obfs4": samples["obfs4"][["push_ratio_up", "top1_tcp_len_up"]]}
    assert sorted(compare_features(some).distances.index) == ["push_ratio_up", "top1_tcp_len_up"]


def test_what_cannot_be_compared(samples: dict[str, pd.DataFrame]) -> None:
    for few in ({}, {"obfs4": samples["obfs4"]}):
        with pytest.raises(ValueError, match=f"`tables` must hold at least two feature tables, got {len(few)}"):
            compare_features(few)
    less = samples | {"trojan": samples["trojan"][["up_down_ratio"]]}
    with pytest.raises(ValueError, match="the feature table 'trojan' has no 'push_ratio_up'"):
        compare_features(less, "psh")
    with pytest.raises(ValueError, match="no feature in common"):
        compare_features({"a": one(1), "b": one(1, name="push_ratio_up")})
    with pytest.raises(ValueError, match="no feature set or feature 'lengths'"):
        compare_features(samples, "lengths")
    with pytest.raises(ValueError, match="`features` must name at least one set or feature, got none"):
        compare_features(samples, [])


# Correlation


@given(tables(max_size=15), st.sampled_from(["spearman", "pearson"]))
@quick
def test_correlation_is_that_of_scipy_and_numpy(rows: pd.DataFrame, method: Any) -> None:
    found = feature_correlation(rows, method=method)
    varied = [name for name in FEATURES.names if name in rows and len(set(rows[name])) > 1]
    assert found.index.tolist() == found.columns.tolist() == varied
    for a, b in itertools.product(varied, repeat=2):
        if method == "spearman":
            expected = scipy.stats.spearmanr(rows[a], rows[b]).statistic
        else:
            # of values that differ by next to nothing rounding makes anything
            if min(rows[name].std() / max(rows[name].abs().max(), 1e-300) for name in (a, b)) < 1e-6:
                continue
            expected = np.corrcoef(rows[a], rows[b])[0, 1]
        assert found.loc[a, b] == pytest.approx(expected, abs=1e-9)
        assert abs(found.loc[a, b]) <= 1 + 1e-12


@pytest.mark.parametrize("method", ["spearman", "pearson"])
def test_correlation_of_a_sample(samples: dict[str, pd.DataFrame], method: Any) -> None:
    rows = samples["obfs4"].assign(bin_500_len_up=0.25, up_down_ratio=0.0)
    found = feature_correlation(rows, method=method)
    varied = [name for name in FEATURES.names if name not in ("bin_500_len_up", "up_down_ratio")]
    assert found.index.tolist() == found.columns.tolist() == varied
    data = rows[varied].to_numpy()
    expected = scipy.stats.spearmanr(data).statistic if method == "spearman" else np.corrcoef(data, rowvar=False)
    np.testing.assert_allclose(found.to_numpy(), expected, rtol=0, atol=1e-12)
    assert (np.diag(found) == 1).all()


def test_correlation_is_of_ranks_unless_asked_otherwise() -> None:
    rows = table([(1, 1), (2, 100), (3, 1e6), (4, 1e7)], ("mean_entropy_up", "up_down_ratio"))
    assert feature_correlation(rows).loc["mean_entropy_up", "up_down_ratio"] == 1
    assert feature_correlation(rows, method="pearson").loc["mean_entropy_up", "up_down_ratio"] < 0.9
    assert feature_correlation(rows, "up_down_ratio").shape == (1, 1)
    for few in (rows[:0], rows[:1]):
        assert feature_correlation(few).shape == (0, 0)


def test_what_cannot_be_correlated(samples: dict[str, pd.DataFrame]) -> None:
    rows = samples["obfs4"]
    with pytest.raises(ValueError, match="`method` must be 'spearman' or 'pearson', got 'kendall'"):
        feature_correlation(rows, method="kendall")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the feature table has no 'push_ratio_up'"):
        feature_correlation(rows[["up_down_ratio"]], "psh")
    with pytest.raises(ValueError, match="the feature table has no feature"):
        feature_correlation(rows[[]])
    with pytest.raises(ValueError, match="no feature set or feature 'lengths'"):
        feature_correlation(rows, ["lengths"])
