"""Gaps, timeline and pairs: against the reference, by hand, and the ugly ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
import reference_charts as charts
from hypothesis import given
from hypothesis import strategies as st
from making import SECOND, from_capture, from_columns, has_client, quick
from reference import TCP, UDP, Packet
from strategies import networks, packets

import toolkit
from toolkit import (
    NoClientError,
    Trace,
    Windows,
    client_pairs,
    client_windows,
    count_windows,
    direction_timeline,
    interval_cdf,
    time_windows,
    window_features,
)
from toolkit.features import INTERVAL_EDGES

A, B, X, Y = "10.0.0.1", "10.0.0.2", "192.0.2.9", "198.51.100.7"
EARLIEST, LAST = np.iinfo(np.int64).min + 1, np.iinfo(np.int64).max  # of the times that pandas can say
WIDTHS = st.sampled_from([1_000, 1_000_000, SECOND - 1, SECOND, 60 * SECOND, 2**62])
MOMENTS = st.sampled_from([EARLIEST, EARLIEST + 1_000, -SECOND, 0, 1, SECOND, LAST - 10 * SECOND, LAST])
SUMS = ["packets_up", "packets_down", "bytes_up", "bytes_down"]


@st.composite
def jumping(draw: st.DrawFn, **sizes: int) -> list[Packet]:
    """Packets, sometimes of a clock that jumps by up to 584 years."""
    drawn = draw(packets(**sizes))
    if not draw(st.booleans()):
        return drawn
    times = draw(st.lists(MOMENTS, min_size=len(drawn), max_size=len(drawn)))
    return [replace(packet, time_ns=time) for packet, time in zip(drawn, times, strict=True)]


def trace_of(given_packets: Sequence[Packet]) -> Trace:
    """Make a trace by a capture file, with times that may be before 1970, which no file can say."""
    trace = from_capture([replace(packet, time_ns=0) for packet in given_packets])
    return trace.with_time(np.array([packet.time_ns for packet in given_packets], np.int64), "times")


def tcp(time_ns: int = 0, src: str = A, dst: str = X, size: int = 0, **other: Any) -> Packet:
    return Packet(time_ns, src, dst, TCP, 40 + size, 1, 2, payload=b"a" * size, **other)


def width(nanoseconds: int) -> pd.Timedelta:
    return pd.Timedelta(nanoseconds, unit="ns")


def some(windows: Windows, places: Any) -> Windows:
    """Give some of the windows, so that packets lie between them."""
    return Windows(windows.trace, windows.order, windows.start[places], windows.stop[places], windows.window[places])


# Gaps


def every_cut(trace: Trace, clients: list[str], n: int, nanoseconds: int) -> list[Windows]:
    cuts = [Windows.whole(trace), time_windows(trace, width(nanoseconds))]
    cuts.append(time_windows(trace, width(nanoseconds), partial="drop"))
    cuts.append(time_windows(trace, width(nanoseconds), by="pair", clients=clients, partial="drop"))
    for remainder in ("drop", "keep"):
        cuts.append(count_windows(trace, n, remainder=remainder))
        cuts.append(client_windows(trace, clients, n, remainder=remainder))
        cuts.append(client_windows(trace, clients, n, time_window=width(nanoseconds), remainder=remainder))
    kept = count_windows(trace, n, remainder="keep")
    cuts += [some(kept, slice(None, None, 2)), some(kept, slice(None, None, -1)), some(kept, slice(0, 0))]
    return cuts


@given(jumping(), networks(), st.integers(1, 8), WIDTHS)
@quick
def test_interval_cdf_is_the_reference(given_packets: list[Packet], clients: list[str], n: int, wide: int) -> None:
    trace = trace_of(given_packets)
    if given_packets and not has_client(given_packets, clients):
        with pytest.raises(NoClientError):
            interval_cdf(Windows.whole(trace), clients)
        return
    for windows in every_cut(trace, clients, n, wide):
        found = interval_cdf(windows, clients)
        inside = [[given_packets[row] for row in windows.rows(i)] for i in range(len(windows))]
        features = window_features(windows, clients, "interval_bins")
        for side in ("up", "down"):
            gaps = charts.gaps(inside, clients, side)
            expected = [charts.at_most(gaps, edge) for edge in charts.GAP_EDGES]
            assert found[side].tolist() == [*expected, len(gaps)]
            # the bins of the features are half-open: a gap of their upper edge is in the next
            tcp_packets = [
                sum(
                    packet.protocol == TCP and reference.is_client(packet.src if side == "up" else packet.dst, clients)
                    for packet in window
                )
                for window in inside
            ]
            below = 0.0
            for edge in INTERVAL_EDGES:
                below += float((features[f"bin_{edge}_interval_{side}"] * tcp_packets).sum())
                assert below == pytest.approx(found.loc[edge, side] - gaps.count(1_000 * edge), abs=1e-9)


def test_interval_cdf_counts_at_40_lengths_a_decade() -> None:
    found = interval_cdf(Windows.whole(from_capture([])), A)
    assert found.shape == (362, 2)
    assert found.index.name == "gap"
    assert (found.index[:-1] * 1_000).round().astype(np.int64).tolist() == charts.GAP_EDGES
    assert found.index[-1] == np.inf
    assert set(INTERVAL_EDGES) | {1, 10, 100, 1e9} <= set(found.index)
    assert found.dtypes.tolist() == [np.int64, np.int64]
    assert (found == 0).all(axis=None)


@pytest.mark.parametrize("gap", [0, 1, 999, 1_000, 1_001, 1_059, 1_060, 10**6, 10**12 - 1, 10**12, 10**12 + 1, 2**63])
@pytest.mark.parametrize("back", [False, True])
def test_interval_cdf_at_the_edges(gap: int, back: bool) -> None:
    when = np.array([EARLIEST, EARLIEST + gap][:: -1 if back else 1])
    trace = from_columns([A, X], time=when, dst=1, protocol=6, tcp_seq=[5, 6])
    found = interval_cdf(Windows.whole(trace), A)
    assert found["up"].tolist() == [int(gap <= edge) for edge in charts.GAP_EDGES] + [1]
    assert found["down"].sum() == 0


def test_no_gap_reaches_over_the_end_of_a_window() -> None:
    trace = from_columns([A, X], time=np.arange(100) * SECOND, dst=1, protocol=6, tcp_seq=range(100))
    for n, gaps in ((1, 0), (2, 50), (3, 66), (50, 98), (100, 99)):
        assert interval_cdf(count_windows(trace, n), A).loc[np.inf, "up"] == gaps
    assert interval_cdf(time_windows(trace, "10s"), A).loc[np.inf, "up"] == 90


def test_sequence_numbers_wrap_and_start_anew_in_each_window() -> None:
    numbers = [2**32 - 1, 0, 2**32 - 1, 0, 7, 0]
    trace = from_columns([A, X], time=np.arange(6) * SECOND, dst=1, protocol=6, tcp_seq=numbers)
    assert interval_cdf(Windows.whole(trace), A)["up"].diff().loc[lambda d: d > 0].tolist() == [1, 1]  # 1 s, then 3 s
    assert interval_cdf(count_windows(trace, 2), A).loc[np.inf, "up"] == 3


# Timeline


@given(jumping(), networks(), WIDTHS)
@quick
def test_direction_timeline_is_the_reference(given_packets: list[Packet], clients: list[str], wide: int) -> None:
    trace = trace_of(given_packets)
    if given_packets and not has_client(given_packets, clients):
        with pytest.raises(NoClientError):
            direction_timeline(trace, clients, width(wide))
        return
    found = direction_timeline(trace, clients, width(wide))
    expected = charts.timeline(given_packets, clients, wide)
    assert found.index.tolist() == list(expected)  # none for a window without packets
    assert found[SUMS].to_dict("records") == list(expected.values())
    assert found.columns.tolist() == ["start", "stop", *SUMS]
    assert found.index.name == "time_window"
    assert found["start"].tolist() == pytest.approx([k * wide / 1e9 for k in expected], rel=1e-14)
    assert found["stop"].tolist() == pytest.approx([(k + 1) * wide / 1e9 for k in expected], rel=1e-14)
    for side, end in (("up", "src"), ("down", "dst")):
        theirs = [packet for packet in given_packets if reference.is_client(getattr(packet, end), clients)]
        assert found[f"packets_{side}"].sum() == len(theirs)
        assert found[f"bytes_{side}"].sum() == sum(packet.ip_length for packet in theirs)


@given(
    jumping(min_size=1),
    networks(),
    WIDTHS,
    st.sampled_from([0, 1, 999, SECOND, 7 * SECOND + 3, 86_400 * SECOND, 2**62, 2**64]) | st.integers(0, 10**11),
)
@quick
def test_direction_timeline_from_another_origin_is_the_reference(
    given_packets: list[Packet], clients: list[str], wide: int, ahead: int
) -> None:
    origin = min(packet.time_ns for packet in given_packets) - ahead
    if origin < EARLIEST or not has_client(given_packets, clients):
        return
    trace = trace_of(given_packets)
    found = direction_timeline(trace, clients, width(wide), origin=pd.Timestamp(origin, tz="UTC"))
    expected = charts.timeline(given_packets, clients, wide, origin)
    assert found.index.tolist() == list(expected)
    assert found[SUMS].to_dict("records") == list(expected.values())
    assert found["start"].tolist() == pytest.approx([k * wide / 1e9 for k in expected], rel=1e-14)
    assert found["stop"].tolist() == pytest.approx([(k + 1) * wide / 1e9 for k in expected], rel=1e-14)
    if ahead == 0:
        pd.testing.assert_frame_equal(found, direction_timeline(trace, clients, width(wide)))


@pytest.mark.parametrize("wide", [1, 2, 3, 7])
def test_direction_timeline_from_every_origin_near_by(wide: int) -> None:
    given_packets = [tcp(time, *ends) for time in (30, 31, 33, 38, 39, 40, 52, 30) for ends in ((A, X), (X, A))]
    trace = from_capture(given_packets)
    for origin in range(31):
        found = direction_timeline(trace, A, width(wide), origin=pd.Timestamp(origin, tz="UTC"))
        expected = charts.timeline(given_packets, [A], wide, origin)
        assert found.index.tolist() == list(expected)
        assert found[SUMS].to_dict("records") == list(expected.values())


def test_default_width_of_a_part_does_not_depend_on_how_far_it_is_from_the_origin() -> None:
    trace = from_columns([A, X], time=[10**15, 10**15 + 200 * 10**6], dst=1, ip_length=40)
    found = direction_timeline(trace, A, origin="1970-01-01")
    assert found.index.tolist() == [10**9, 10**9 + 200]


def test_a_part_of_a_trace_is_on_the_clock_of_the_whole() -> None:
    trace, clients = toolkit.load_example("obfs4"), "10.77.0.0/24"
    whole = direction_timeline(trace, clients, "1s")
    part = trace.select(start="20s")  # at an edge of the windows
    assert part.start > trace.start + pd.Timedelta("20s")
    found = direction_timeline(part, clients, "1s", origin=trace.start)
    pd.testing.assert_frame_equal(found, whole.loc[20:])
    assert direction_timeline(part, clients, "1s").index[0] == 0
    for same in (str(trace.start), trace.start.as_unit("us").tz_convert("Asia/Tokyo"), trace.start - part.start):
        pd.testing.assert_frame_equal(direction_timeline(part, clients, "1s", origin=same), found)


@pytest.mark.parametrize("windows", [240, 241])
def test_default_width_counts_the_windows_from_the_origin(windows: int) -> None:
    """From 0.5 ms before the edge of a window of 1 ms to the last nanosecond of the 240th that the trace touches."""
    trace = from_columns([A, X], time=[500_000, (windows - 1) * 10**6], dst=1, ip_length=40)
    found = direction_timeline(trace, A, origin="1970-01-01")
    assert found.index.tolist() == ([0, windows - 1] if windows == 240 else [0, 24])
    assert direction_timeline(trace, A)["stop"].iloc[0] == 0.001  # 239.5 ms


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ("2100-01-01", ValueError, r"`origin` must not be after the earliest packet \(2026.*\), got '2100-01-01'"),
        ("1s", ValueError, "must not be after the earliest packet"),
        (pd.NaT, ValueError, "`origin` must be a time such as"),
        ("12:00", ValueError, "`origin` must be a time such as"),
        ("noon", ValueError, "`origin` must be a time such as"),
        (1.5e9, TypeError, "`origin` must be a time such as"),
        (0, TypeError, "`origin` must be a time such as"),
    ],
)
def test_wrong_origin(wrong: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        direction_timeline(toolkit.load_example("obfs4"), "10.77.0.0/24", "1s", origin=wrong)


def test_origin_too_far_for_so_short_windows() -> None:
    trace = from_columns([A, X], time=[LAST], dst=1)
    with pytest.raises(ValueError, match="windows of 1 ns are too short for a trace that ends"):
        direction_timeline(trace, A, "1ns", origin=pd.Timestamp(EARLIEST, tz="UTC"))


@given(jumping(min_size=1), networks())
@quick
def test_default_width_is_the_first_that_gives_240_windows(given_packets: list[Packet], clients: list[str]) -> None:
    if not has_client(given_packets, clients):
        return
    found = direction_timeline(trace_of(given_packets), clients)
    times = [packet.time_ns for packet in given_packets]
    last = [(max(times) - min(times)) // each for each in charts.WIDTHS]
    place = next((i for i, number in enumerate(last) if number < 240), len(last) - 1)
    assert found.index[0] == 0
    assert found.index[-1] == last[place]
    assert found["stop"].iloc[0] == charts.WIDTHS[place] / 1e9
    assert found.index[-1] < 240 or place == len(last) - 1
    assert found[SUMS].to_dict("records") == list(
        charts.timeline(given_packets, clients, charts.WIDTHS[place]).values()
    )


@pytest.mark.parametrize("place", range(13))
def test_default_width_at_its_edges(place: int) -> None:
    narrow = charts.WIDTHS[place]
    wide = charts.WIDTHS[min(place + 1, 12)]
    for duration, expected in ((240 * narrow - 1, narrow), (240 * narrow, wide)):
        trace = from_columns([A, X], time=[0, duration], dst=1, ip_length=40)
        found = direction_timeline(trace, A)
        assert found["stop"].iloc[0] == expected / 1e9
        assert found.index.tolist() == [0, duration // expected]
        pd.testing.assert_frame_equal(found, direction_timeline(trace, A, width(expected)))


def test_timeline_over_584_years() -> None:
    trace = from_columns([A, X], time=[LAST, 0, EARLIEST], dst=1, ip_length=40)
    found = direction_timeline(trace, A)
    assert found.index.tolist() == [0, -EARLIEST // (7 * charts.DAY), (LAST - EARLIEST) // (7 * charts.DAY)]
    assert found["packets_up"].tolist() == [1, 1, 1]


def test_timeline_by_hand() -> None:
    """Both ways at once between two clients, none of strangers, who still make a window."""
    given_packets = [tcp(0), tcp(5, A, B, 100), tcp(9, X, B), tcp(25, X, Y), tcp(31, B, A, 60_000)]
    found = direction_timeline(from_capture(given_packets), [A, B], "10ns")
    assert found.index.tolist() == [0, 2, 3]
    assert found["packets_up"].tolist() == [2, 0, 1]
    assert found["packets_down"].tolist() == [2, 0, 1]
    assert found["bytes_up"].tolist() == [180, 0, 60_040]
    assert found["bytes_down"].tolist() == [180, 0, 60_040]


def test_bytes_of_a_window_may_pass_32_bits() -> None:
    trace = from_columns([A, X], time=np.arange(40), dst=1, ip_length=2**30, payload_length=2**30)
    assert direction_timeline(trace, A)["bytes_up"].tolist() == [40 * 2**30]
    assert client_pairs(trace, A)[["bytes_up", "payload_up"]].to_numpy().tolist() == [[40 * 2**30] * 2]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [("0s", "more than 0 s, got '0s'"), ("-1s", "more than 0 s"), (60, "must have a unit"), ("wide", "such as '60s'")],
)
def test_width_of_the_timeline_must_be_a_duration(wrong: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        direction_timeline(toolkit.load_example("obfs4"), "10.77.0.0/24", wrong)


# Pairs


@given(jumping(), networks())
@quick
def test_client_pairs_is_the_reference(given_packets: list[Packet], clients: list[str]) -> None:
    trace = trace_of(given_packets)
    if given_packets and not has_client(given_packets, clients):
        with pytest.raises(NoClientError):
            client_pairs(trace, clients)
        return
    found = client_pairs(trace, clients)
    expected = charts.pairs(given_packets, clients)
    assert found.index.tolist() == [pair for pair, _ in expected]
    assert found.index.names == ["client", "target"]
    columns = ["packets_up", "packets_down", "bytes_up", "bytes_down", "payload_up", "payload_down", "first", "last"]
    assert found.columns.tolist() == columns
    numbers = found.assign(first=found["first"].astype("int64"), last=found["last"].astype("int64"))
    assert numbers.to_dict("records") == [row for _, row in expected]
    packets_of_pairs = [packet for packet in given_packets if reference.client_target(packet, clients)]
    assert found[["packets_up", "packets_down"]].to_numpy().sum() == len(packets_of_pairs)
    assert found[["bytes_up", "bytes_down"]].to_numpy().sum() == sum(packet.ip_length for packet in packets_of_pairs)


def test_pairs_by_hand() -> None:
    given_packets = [
        *(tcp(30, A, X, 5), tcp(10, X, A, 1_500), tcp(20, B, Y)),
        *(tcp(1, B, A), tcp(2, A, B), tcp(3, A, A), Packet(4, Y, B, UDP, 28)),
    ]
    found = client_pairs(from_capture(given_packets), [A, B])
    # of equally many packets in the order of their first in the file; the network of A is asked first
    assert found.index.tolist() == [(A, X), (B, Y), (A, B), (A, A)]
    assert found["packets_up"].tolist() == [1, 1, 1, 1]
    assert found["packets_down"].tolist() == [1, 1, 1, 0]
    assert found["payload_down"].tolist() == [1_500, 0, 0, 0]
    assert found["first"].iloc[0] == pd.Timestamp(10, tz="UTC")
    assert found["last"].iloc[0] == pd.Timestamp(30, tz="UTC")


# Nothing


def test_no_packets() -> None:
    for empty in (toolkit.load_example("obfs4")[:0], from_capture([])):
        for table in (direction_timeline(empty, A), direction_timeline(empty, A, "1s"), client_pairs(empty, A)):
            assert len(table) == 0
            assert set(SUMS) <= set(table.columns)
            assert all(table[name].dtype == np.int64 for name in SUMS)
        assert len(direction_timeline(empty, A, origin=empty.start)) == 0
        assert client_pairs(empty, A).index.names == ["client", "target"]
        assert str(client_pairs(empty, A)["first"].dtype) == "datetime64[ns, UTC]"
    one = from_capture([tcp(7)])
    assert direction_timeline(one, A)[["start", "stop"]].to_numpy().tolist() == [[0, 0.001]]
    assert interval_cdf(Windows.whole(one), A).to_numpy().sum() == 0


@pytest.mark.parametrize("function", [direction_timeline, client_pairs, lambda t, c: interval_cdf(Windows.whole(t), c)])
def test_clients_that_are_not_there(function: Any) -> None:
    trace = toolkit.load_example("obfs4")
    with pytest.raises(NoClientError, match=r"no packet has a client in 192.0.2.0/24; the busiest hosts are 10.77"):
        function(trace, "192.0.2.0/24")
    with pytest.raises(ValueError, match="must be an address or a network"):
        function(trace, "somebody")
    with pytest.raises(ValueError, match="at least one address or network, got none"):
        function(trace, [])
