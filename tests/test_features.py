"""Features: against the reference, by hand, and as they are declared."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from making import SECOND, from_capture, from_columns, from_dicts, has_client, quick
from reference import ACK, ICMP, PSH, TCP, UDP, Packet
from strategies import FIFTY_YEARS, LATEST, networks, packets

import toolkit
from toolkit import FEATURES, NoClientError, Windows, client_features, client_windows, count_windows, window_features
from toolkit.features import Feature, addresses, feature_names

A, B, X, Y = "10.0.0.1", "10.0.0.2", "192.0.2.9", "198.51.100.7"
CLIENTS = ["10.0.0.0/24"]
WIDTHS = st.sampled_from([1_000_000, SECOND - 1, SECOND, 60 * SECOND, LATEST])
EARLIEST, LAST = np.iinfo(np.int64).min + 1, np.iinfo(np.int64).max


def tcp(time_ns: int = 0, size: int = 0, src: str = A, dst: str = X, **other: Any) -> Packet:
    payload = other.pop("payload", b"a" * size)
    return Packet(time_ns, src, dst, TCP, 40 + len(payload), 1, 2, payload=payload, **other)


def udp(src: str = A, dst: str = X) -> Packet:
    return Packet(0, src, dst, UDP, 33, 1, 2, payload=b"hello")


def same(table: pd.DataFrame, expected: list[dict[str, float]]) -> None:
    """Compare each value; columns are in the order of `FEATURES`."""
    names = table.columns.tolist()
    assert names == [name for name in FEATURES.names if name in names]
    assert all(row.keys() == set(names) for row in expected)
    assert table.dtypes.unique().tolist() == [np.float64]
    values = np.array([[row[name] for name in names] for row in expected]).reshape(len(expected), len(names))
    np.testing.assert_allclose(table.to_numpy(), values, rtol=1e-12, atol=1e-12)


def nonzero(features: Any) -> dict[str, float]:
    return {name: value for name, value in features.items() if value}


def of(given_packets: list[Packet], features: Any = None) -> dict[str, float]:
    """Features of one window."""
    trace = from_dicts(given_packets)
    return window_features(Windows.whole(trace), CLIENTS, features).iloc[0].to_dict()


# Against the reference


@given(packets(), networks(), st.integers(1, 12))
@quick
def test_window_features_is_the_reference(given_packets: list[Packet], clients: list[str], n: int) -> None:
    trace = from_capture(given_packets)
    windows = count_windows(trace, n, remainder="keep")
    if given_packets and not has_client(given_packets, clients):
        with pytest.raises(NoClientError):
            window_features(windows, clients)
        return
    cut = [[given_packets[index] for index in window] for window in reference.count_windows(given_packets, n, "keep")]
    whole = window_features(windows, clients)
    same(whole, [reference.window_features(window, clients) for window in cut])
    assert whole.index.equals(windows.index)
    assert whole.columns.tolist() == list(FEATURES.names)
    for name in FEATURES.sets:
        alone = window_features(windows, clients, name)
        same(alone, [reference.window_features(window, clients, [name]) for window in cut])
        pd.testing.assert_frame_equal(alone, whole[alone.columns])


@given(packets(min_size=1), networks(), st.lists(st.sampled_from([*FEATURES.sets, *FEATURES.names]), max_size=6))
@quick
def test_any_choice_of_features(given_packets: list[Packet], clients: list[str], chosen: list[str]) -> None:
    if not has_client(given_packets, clients):
        return
    windows = Windows.whole(from_capture(given_packets))
    table = window_features(windows, clients, chosen)
    wanted = [f.name for f in FEATURES if f.name in chosen or f.set in chosen or f.name == "up_down_ratio"]
    assert table.columns.tolist() == wanted
    pd.testing.assert_frame_equal(table, window_features(windows, clients)[wanted])
    pd.testing.assert_frame_equal(table, window_features(windows, clients, iter(chosen)))


@given(packets(), networks(), WIDTHS, st.integers(1, 6), st.sampled_from(["drop", "keep"]))
@quick
def test_client_features_is_the_reference(
    given_packets: list[Packet], clients: list[str], width: int, n: int, remainder: Any
) -> None:
    trace = from_capture(given_packets)
    options: dict[str, Any] = {"time_window": pd.Timedelta(width, unit="ns"), "packet_window": n}
    if given_packets and not has_client(given_packets, clients):
        with pytest.raises(NoClientError):
            client_features(trace, clients, **options)
        return
    table = client_features(trace, clients, remainder=remainder, **options)
    expected = reference.client_features(given_packets, clients, width, n, remainder)
    assert table.index.tolist() == [key for key, _ in expected]
    assert table.index.names == ["client", "target", "time_window", "window"]
    same(table, [features for _, features in expected])
    assert table.index.is_unique


@given(packets(min_size=1, max_size=25), networks(), st.randoms(use_true_random=False))
@quick
def test_other_way_round_and_shuffled(given_packets: list[Packet], clients: list[str], order: Any) -> None:
    if not has_client(given_packets, clients):
        return
    trace = from_capture(given_packets)
    there = window_features(Windows.whole(trace), clients).iloc[0]
    columns = trace.columns._replace(src=trace.column("dst"), dst=trace.column("src"))
    swapped = toolkit.Trace(columns, trace._hosts, trace._data, trace.sources)
    back = window_features(Windows.whole(swapped), clients).iloc[0]
    for name, value in there.items():
        if str(name).endswith("_up"):
            assert back[str(name).replace("_up", "_down")] == value
    # lengths, entropy and flags do not depend on the order
    rows = list(range(len(trace)))
    order.shuffle(rows)
    sets = [name for name in FEATURES.sets if not name.startswith("interval")]
    shuffled = window_features(Windows.whole(trace[rows]), clients, sets).iloc[0]
    np.testing.assert_allclose(shuffled.to_numpy(), there[shuffled.index].to_numpy(), rtol=1e-12, atol=1e-12)


@given(packets(min_size=1), networks())
@quick
def test_limits(given_packets: list[Packet], clients: list[str]) -> None:
    if not has_client(given_packets, clients):
        return
    row = window_features(Windows.whole(from_capture(given_packets)), clients).iloc[0]
    assert (row >= 0).all()
    for side in ("up", "down"):
        assert row[f"min_entropy_{side}"] - 1e-12 <= row[f"mean_entropy_{side}"] <= row[f"max_entropy_{side}"] + 1e-12
        assert row[f"max_entropy_{side}"] <= 8
        assert row[f"push_ratio_{side}"] <= 1
        bins = [f.name for f in FEATURES if f.set == "interval_bins" and f.direction == side]
        assert row[bins].sum() <= 1 + 1e-12
        lengths = [f.name for f in FEATURES if f.set == "tcp_len_bins" and f.direction == side]
        ends = [(p, p.src if side == "up" else p.dst) for p in given_packets if p.protocol == TCP]
        members = [p.payload_length for p, end in ends if reference.is_client(end, clients)]
        if members:
            pieces = sum(max(math.ceil(length / 1_500), 1) for length in members)
            assert row[lengths].sum() * len(members) == pytest.approx(pieces)
            assert (row[lengths].sum() == pytest.approx(1)) == (pieces == len(members))


def test_addresses() -> None:
    trace = from_dicts([tcp(src=A, dst=X), tcp(src=Y, dst=B), udp(dst="203.0.113.5"), tcp(src=X, dst="203.0.113.6")])
    inside = np.array([host in (A, B) for host in trace.hosts])
    assert addresses(trace, inside) == ({X, Y}, {A, B})
    assert addresses(trace[:0], inside[:0]) == (set(), set())
    between = from_dicts([tcp(src=A, dst=B)])
    assert addresses(between, np.array([True, True])) == ({A, B}, {A, B})
    assert addresses(between, np.array([True, False])) == ({B}, {A})


# By hand


def test_a_window_without_tcp() -> None:
    none = {"mean_interval_up": 1e6, "mean_interval_down": 1e6}
    assert nonzero(of([udp()])) == none
    assert nonzero(of([udp(), udp(src=X, dst=A), udp(src=X, dst=A)])) == none | {"up_down_ratio": 0.5}
    assert nonzero(of([Packet(0, A, X, ICMP, 28), udp(src=X, dst=A)])) == none | {"up_down_ratio": 1}
    assert list(of([udp()])) == list(FEATURES.names)


def test_one_packet() -> None:
    assert nonzero(of([tcp(payload=b"ab" * 75, tcp_flags=ACK | PSH)])) == {
        "mean_entropy_up": 1,
        "max_entropy_up": 1,
        "min_entropy_up": 1,
        "mean_interval_up": 1e6,
        "mean_interval_down": 1e6,
        "top1_tcp_len_up": 150,
        "mean_tcp_len_up": 150,
        "bin_200_len_up": 1,
        "push_ratio_up": 1,
    }


def test_a_whole_window_by_hand() -> None:
    window = [
        tcp(0, payload=b"", tcp_seq=1, tcp_flags=2),  # a SYN
        tcp(1_000_000, 0, X, A, tcp_seq=7, tcp_flags=18),  # SYN and ACK
        tcp(2_000_000, payload=b"abcd", tcp_seq=2, tcp_flags=24),  # 2 ms after the first
        tcp(2_500_000, payload=b"abcd", tcp_seq=2, tcp_flags=24),  # sent again
        tcp(3_000_000, 1_448, X, A, tcp_seq=8, tcp_flags=16),  # 2 ms
        tcp(3_000_500, 1_448, X, A, tcp_seq=1_456, tcp_flags=24),  # 0.5 µs
        udp(),
        tcp(2_000_000_000, payload=b"ab" * 1_500, tcp_seq=6, tcp_flags=16),  # 1,998 ms
    ]
    assert nonzero(of(window)) == pytest.approx(
        {
            "mean_entropy_up": (0 + 2 + 2 + 1) / 4,
            "max_entropy_up": 2,
            "mean_interval_up": (2_000 + 1_998_000) / 2,
            "mean_interval_down": (2_000 + 0.5) / 2,
            "bin_10000_interval_up": 1 / 4,
            "bin_10000_interval_down": 1 / 3,
            "bin_1000_interval_down": 1 / 3,
            "top1_tcp_len_up": 4,
            "top1_tcp_len_down": 1_448,
            "mean_tcp_len_up": 3_008 / 4,
            "mean_tcp_len_down": 2_896 / 3,
            "bin_100_len_up": 3 / 4,
            "bin_1500_len_up": 2 / 4,  # 3,000 bytes are two full segments
            "bin_100_len_down": 1 / 3,
            "bin_1500_len_down": 2 / 3,
            "push_ratio_up": 2 / 3,
            "push_ratio_down": 1 / 3,
            "up_down_ratio": 5 / 3,
        },
        rel=1e-15,
    )


@pytest.mark.parametrize(
    ("sizes", "top"),
    [
        ([5], (5, 0)),
        ([5, 5], (5, 0)),
        ([9, 5], (5, 9)),
        ([9, 5, 9], (9, 5)),
        ([9, 7, 8, 7, 8], (7, 8)),
        ([1_448, 0, 0, 700, 20], (0, 20)),
        ([65_000, 65_000, 0], (65_000, 0)),
        ([3, 2, 1, 3, 2, 1], (1, 2)),
        ([1, 2, 3, 1, 2, 3], (1, 2)),
    ],
)
def test_most_common_lengths(sizes: list[int], top: tuple[float, float]) -> None:
    for order in (sizes, sizes[::-1]):
        found = of([tcp(0, size) for size in order], "tcp_len")
        assert (found["top1_tcp_len_up"], found["top2_tcp_len_up"]) == top


@pytest.mark.parametrize(
    ("gap", "high"),
    [
        (0, 1_000),
        (999_999, 1_000),
        (1_000_000, 10_000),
        (9_999_999, 10_000),
        (10_000_000, 100_000),
        (99_999_999, 100_000),
        (100_000_000, 1_000_000),
        (999_999_999, 1_000_000),
        (SECOND, None),
        (FIFTY_YEARS, None),
    ],
)
@pytest.mark.parametrize("back", [1, -1])
def test_edges_of_intervals(gap: int, high: int | None, back: int) -> None:
    start = 1_600_000_000_123_456_789
    found = of([tcp(start, tcp_seq=5), tcp(start + back * gap, tcp_seq=6)], ["interval", "interval_bins"])
    bins = {f"bin_{high}_interval_up": 0.5} if high else {}
    mean = {"mean_interval_up": gap / 1_000} if gap else {}
    assert nonzero(found) == {"mean_interval_down": 1e6} | mean | bins


def test_sequence_numbers_wrap() -> None:
    numbers = [2**32 - 1_448, 0, 1_448, 2**32 - 1_448, 2**31, 2**31 - 1, 2**32 - 1]
    window = [tcp(i * SECOND, tcp_seq=number) for i, number in enumerate(numbers)]
    # the fourth was there before: gaps of 1, 1, 2, 1, 1 s
    assert of(window)["mean_interval_up"] == 6e6 / 5


def test_a_clock_at_both_ends_of_64_bits() -> None:
    when = [EARLIEST, LAST, EARLIEST, LAST]
    trace = from_columns([A, X], time=when, dst=1, protocol=6, tcp_seq=range(4))
    row = window_features(Windows.whole(trace), A).iloc[0]
    assert row["mean_interval_up"] == pytest.approx((LAST - EARLIEST) / 1_000, rel=1e-15)
    assert row.filter(like="interval_up").sum() == row["mean_interval_up"]
    table = client_features(trace, A, packet_window=1, time_window="1 day")
    assert table.index.get_level_values("time_window").tolist() == [0, 0, 213_503, 213_503]


@pytest.mark.parametrize("n", [1, 1_000, 100_000])
def test_large_and_small_windows(n: int) -> None:
    """The tables of what was seen fit the largest window: every sequence number and length new, all in both ways."""
    size = 100_000
    random = np.random.default_rng(5)
    trace = from_columns(
        [A, B],
        time=np.arange(size) * 1_000,
        src=np.arange(size) % 2,
        dst=1 - np.arange(size) % 2,
        protocol=6,
        tcp_seq=random.permutation(size).astype(np.uint32) * 40_503,
        payload_length=random.permutation(size),
        tcp_flags=random.choice([16, 24, 2], size),
    )
    table = window_features(count_windows(trace, n), CLIENTS)
    assert len(table) == size // n
    lengths = trace.column("payload_length").reshape(-1, n)
    for side in ("up", "down"):
        assert np.allclose(table[f"mean_tcp_len_{side}"], lengths.mean(axis=1))
        assert (table[f"top1_tcp_len_{side}"] == lengths.min(axis=1)).all()
        assert (table[f"top2_tcp_len_{side}"] == (np.sort(lengths, axis=1)[:, 1] if n > 1 else 0)).all()
        assert (table[f"mean_interval_{side}"] == (1 if n > 1 else 1e6)).all()
        assert np.allclose(table[f"bin_1000_interval_{side}"], (n - 1) / n)


def test_a_window_is_not_disturbed_by_the_one_before() -> None:
    """The same numbers and lengths in every window, and one in between without any."""
    window = [tcp(i, i % 3, tcp_seq=i % 4) for i in range(8)]
    other = [udp()] * 8
    trace = from_dicts([*window, *other, *window, *window])
    table = window_features(count_windows(trace, 8), CLIENTS)
    assert (table.iloc[0] == table.iloc[2]).all()
    assert (table.iloc[0] == table.iloc[3]).all()
    assert table.iloc[0]["mean_interval_up"] == 0.001


def test_overlapping_networks_and_both_families() -> None:
    given_packets = [
        tcp(0, 10, "2001:db8::1", "2001:db8::2", tcp_seq=1),
        tcp(5, 20, A, B, tcp_seq=2),
        tcp(9, 30, B, X, tcp_seq=3),
    ]
    trace = from_dicts(given_packets)
    for clients in (["10.0.0.0/8", A, "10.0.0.0/24", A], ["10.0.0.0/31", B, "2001:db8::dead"]):
        row = window_features(Windows.whole(trace), clients).iloc[0]
        assert row["up_down_ratio"] == 2
        assert row["mean_tcp_len_up"] == 25
        assert row["mean_tcp_len_down"] == 20
    row = window_features(Windows.whole(trace), ["10.0.0.0/8", "2001:db8::/127"]).iloc[0]
    assert row["up_down_ratio"] == 3
    with pytest.raises(NoClientError):
        window_features(Windows.whole(trace[:1]), "0.0.0.0/0")


# Nothing, and what is wrong


def test_no_packets_and_no_windows() -> None:
    trace = toolkit.load_example("obfs4")
    for part, windows in ((trace[:0], 0), (trace[:10], 0)):
        table = client_features(part, "10.77.0.0/24")
        assert table.shape == (windows, 55)
        assert table.index.names == ["client", "target", "time_window", "window"]
        assert window_features(count_windows(part, 50), "10.77.0.0/24", "psh").shape == (0, 3)
    nothing = window_features(Windows.whole(trace[:0]), "10.77.0.0/24")
    assert nonzero(nothing.iloc[0]) == {"mean_interval_up": 1e6, "mean_interval_down": 1e6}


@pytest.mark.parametrize("features", ["lengths", ["psh", "always"], ["psh_up"], [None], ["psh", 5]])
def test_unknown_features(features: Any) -> None:
    trace = toolkit.load_example("obfs4")
    message = "no feature set or feature .*: the sets are entropy, interval, interval_bins, tcp_len, tcp_len_bins, psh"
    for call in (
        lambda: client_features(trace, "10.77.0.0/24", features=features),
        lambda: window_features(count_windows(trace, 50), "10.77.0.0/24", features),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_clients_and_features_may_be_given_once() -> None:
    """Iterators are used up at the first look."""
    trace = toolkit.load_example("obfs4")
    table = client_features(trace, iter(["10.77.0.0/24"]), features=iter(["psh", "entropy"]))
    pd.testing.assert_frame_equal(table, client_features(trace, "10.77.0.0/24", features=["entropy", "psh"]))
    assert table.shape[1] == 9


def test_remainder_and_windows() -> None:
    trace = toolkit.load_example("obfs4")
    table = client_features(trace, "10.77.0.0/24", time_window="60s", packet_window=50)
    windows = client_windows(trace, "10.77.0.0/24", 50, time_window="60s")
    pd.testing.assert_frame_equal(table, window_features(windows, "10.77.0.0/24"))
    kept = client_features(trace, "10.77.0.0/24", time_window="60s", packet_window=50, remainder="keep")
    assert len(kept) > len(table)
    pd.testing.assert_frame_equal(kept.loc[table.index], table)
    with pytest.raises(ValueError, match="`remainder` must be one of"):
        client_features(trace, "10.77.0.0/24", remainder="all")  # type: ignore[arg-type]


# The declarations


def test_features_are_declared_once() -> None:
    assert len(FEATURES) == 55
    assert len(set(FEATURES.names)) == 55
    counts = {name: sum(f.set == name for f in FEATURES) for name in (*FEATURES.sets, "always")}
    assert counts == {
        "entropy": 6,
        "interval": 2,
        "interval_bins": 8,
        "tcp_len": 6,
        "tcp_len_bins": 30,
        "psh": 2,
        "always": 1,
    }
    for feature in FEATURES:
        side = feature.name.rsplit("_", 1)[-1]
        assert feature.direction == (side if side in ("up", "down") else "both")
        assert FEATURES[feature.name] is feature
        assert feature.meaning
        assert not feature.meaning.endswith(".")
        assert set(reference.window_features([], CLIENTS, [feature.set] if feature.set != "always" else [])) >= {
            feature.name
        }
    assert FEATURES[0].name == "mean_entropy_up"
    assert FEATURES[-1].name == "up_down_ratio"
    assert [f.name for f in FEATURES[:2]] == ["mean_entropy_up", "mean_entropy_down"]
    with pytest.raises(KeyError, match="no feature 'length'"):
        FEATURES["length"]
    with pytest.raises(IndexError):
        FEATURES[55]


UNITS = {
    "mean_entropy": "bits/byte",
    "max_entropy": "bits/byte",
    "min_entropy": "bits/byte",
    "mean_interval": "µs",
    "top1_tcp_len": "bytes",
    "top2_tcp_len": "bytes",
    "mean_tcp_len": "bytes",
    "push_ratio": "share",
    "up_down_ratio": "ratio",
    **{f"bin_{10**power}_interval": "share" for power in (3, 4, 5, 6)},
    **{f"bin_{high}_len": "share" for high in range(100, 1_501, 100)},
}
"""By DESIGN, section 4."""


def test_units_are_those_of_the_design() -> None:
    assert {re.sub("_(up|down)$", "", f.name): f.unit for f in FEATURES} == UNITS
    table = FEATURES.to_frame()
    assert table.index.tolist() == list(FEATURES.names)
    assert table.columns.tolist() == ["set", "direction", "unit", "meaning"]
    page = FEATURES._repr_html_()
    assert all(f"<th>{name}</th>" in page for name in FEATURES.names)
    assert isinstance(FEATURES["up_down_ratio"], Feature)


@pytest.mark.shared
def test_names_are_those_of_the_design(shared: Path) -> None:
    text = (shared / "DESIGN.md").read_text()
    section = text[text.index("| set | feature") : text.index("A packet between two clients")]
    units = {}
    for line in section.splitlines()[2:]:
        if line.startswith("|"):
            name, features, unit, _ = (cell.strip() for cell in line.strip("|").split("|", 3))
            for feature in re.findall("`([a-z_0-9]+)`", features):
                units[feature] = unit
                known = [f for f in FEATURES if re.sub("_(up|down)$", "", f.name) == feature]
                assert {f.set for f in known} == {name.strip("`")}
    assert len(units) > 14
    assert units.items() <= UNITS.items()


def test_feature_names() -> None:
    assert feature_names(None) == FEATURES.names
    assert feature_names([]) == ("up_down_ratio",)
    assert feature_names("psh") == ("push_ratio_up", "push_ratio_down", "up_down_ratio")
    assert feature_names(["up_down_ratio", "push_ratio_down", "psh"]) == feature_names("psh")
    assert feature_names(["push_ratio_down", "mean_entropy_up"]) == (
        *("mean_entropy_up", "push_ratio_down", "up_down_ratio"),
    )
