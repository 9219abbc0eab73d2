"""Windows: against the reference, what must hold for any, and the ugly ones."""

from __future__ import annotations

import datetime
import ipaddress
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from making import SECOND, from_capture, from_columns, from_dicts, has_client, quick
from reference import TCP, Packet
from strategies import FIFTY_YEARS, LATEST, networks, packets

import toolkit
from toolkit import NoClientError, Windows, client_windows, count_windows, synchronise, time_windows
from toolkit.trace import Trace

A, B, X, Y = "10.0.0.1", "10.0.0.2", "192.0.2.9", "198.51.100.7"
WIDTHS = st.sampled_from([1, 1_000, 1_000_000, SECOND - 1, SECOND, 60 * SECOND, LATEST])
EARLIEST, LAST = np.iinfo(np.int64).min + 1, np.iinfo(np.int64).max  # of the times that pandas can say


def tcp(time_ns: int = 0, src: str = A, dst: str = X, size: int = 0, **other: Any) -> Packet:
    return Packet(time_ns, src, dst, TCP, 40 + size, 1, 2, payload=b"a" * size, **other)


def rows(windows: Windows) -> list[list[int]]:
    return [windows.rows(i).tolist() for i in range(len(windows))]


def width(nanoseconds: int) -> pd.Timedelta:
    return pd.Timedelta(nanoseconds, unit="ns")


def times(trace: Trace) -> list[int]:
    return trace.column("time").tolist()


# Against the reference


@given(packets(), st.integers(1, 50), st.sampled_from(["drop", "keep"]))
@quick
def test_count_windows_is_the_reference(given_packets: list[Packet], n: int, remainder: Any) -> None:
    windows = count_windows(from_capture(given_packets), n, remainder=remainder)
    assert rows(windows) == reference.count_windows(given_packets, n, remainder)
    assert windows.index.tolist() == list(range(len(windows)))
    assert windows.index.names == ["window"]
    assert windows.dropped == len(given_packets) - sum(map(len, rows(windows)))


@given(packets(), WIDTHS)
@quick
def test_time_windows_is_the_reference(given_packets: list[Packet], nanoseconds: int) -> None:
    trace = from_capture(given_packets)
    expected = reference.time_windows(given_packets, nanoseconds)
    windows = time_windows(trace, width(nanoseconds))
    assert rows(windows) == list(expected.values())
    assert windows.index.tolist() == [(k, 0) for k in expected]
    assert windows.index.names == ["time_window", "window"]
    assert windows.dropped == 0
    assert sorted(windows.order.tolist()) == list(range(len(trace)))
    dropped = time_windows(trace, width(nanoseconds), partial="drop")
    assert rows(dropped) == list(expected.values())[:-1]


@given(packets(), networks(), WIDTHS, st.sampled_from(["drop", "keep"]))
@quick
def test_time_windows_by_pair_is_the_reference(
    given_packets: list[Packet], clients: list[str], nanoseconds: int, partial: Any
) -> None:
    trace = from_capture(given_packets)
    if given_packets and not has_client(given_packets, clients):
        with pytest.raises(NoClientError):
            time_windows(trace, width(nanoseconds), by="pair", clients=clients)
        return
    expected = []
    cut = reference.time_windows(given_packets, nanoseconds)
    for k, indices in cut.items():
        if partial == "keep" or k < max(cut):
            inside = [given_packets[index] for index in indices]
            for pair, _, window in reference.client_windows(inside, clients, 10**6, "keep"):
                expected.append(((*pair, k, 0), [indices[index] for index in window]))
    windows = time_windows(trace, width(nanoseconds), by="pair", clients=clients, partial=partial)
    assert list(zip(windows.index.tolist(), rows(windows), strict=True)) == expected


@given(packets(), networks(), st.integers(1, 6), st.sampled_from(["drop", "keep"]))
@quick
def test_client_windows_is_the_reference(
    given_packets: list[Packet], clients: list[str], n: int, remainder: Any
) -> None:
    trace = from_capture(given_packets)
    if given_packets and not has_client(given_packets, clients):
        with pytest.raises(NoClientError):
            client_windows(trace, clients, n)
        return
    windows = client_windows(trace, clients, n, remainder=remainder)
    expected = reference.client_windows(given_packets, clients, n, remainder)
    found = list(zip(windows.index.tolist(), rows(windows), strict=True))
    assert found == [((*pair, number), window) for pair, number, window in expected]
    assert windows.index.names == ["client", "target", "window"]


@given(packets(), networks(), WIDTHS, st.integers(1, 6), st.sampled_from(["drop", "keep"]))
@quick
def test_client_windows_within_time_windows(
    given_packets: list[Packet], clients: list[str], nanoseconds: int, n: int, remainder: Any
) -> None:
    if not has_client(given_packets, clients):
        return
    trace = from_capture(given_packets)
    windows = client_windows(trace, clients, n, time_window=width(nanoseconds), remainder=remainder)
    expected = []
    for k, indices in reference.time_windows(given_packets, nanoseconds).items():
        inside = [given_packets[index] for index in indices]
        for pair, number, window in reference.client_windows(inside, clients, n, remainder):
            expected.append(((*pair, k, number), [indices[index] for index in window]))
    assert list(zip(windows.index.tolist(), rows(windows), strict=True)) == expected
    assert windows.index.names == ["client", "target", "time_window", "window"]


@given(packets(min_size=1, whole=True), st.integers(-LATEST // 4, LATEST // 2), st.booleans())
@quick
def test_synchronise_is_the_reference(given_packets: list[Packet], target: int, sort: bool) -> None:
    trace = from_dicts(given_packets)
    before = times(trace)
    moved = synchronise(trace, pd.Timestamp(target), sort=sort)
    expected = reference.synchronise(given_packets, target, sort)
    assert times(moved) == [packet.time_ns for packet in expected]
    assert moved.column("ip_length").tolist() == [packet.ip_length for packet in expected]
    assert [moved.hosts[i] for i in moved.column("src")] == [packet.src for packet in expected]
    assert times(trace) == before


# What must hold


@given(packets(max_size=30), networks(), st.integers(1, 4), WIDTHS)
@quick
def test_frame_and_traces_of_windows(given_packets: list[Packet], clients: list[str], n: int, nanoseconds: int) -> None:
    trace = from_capture(given_packets)
    cuts = [count_windows(trace, n), time_windows(trace, width(nanoseconds)), Windows.whole(trace)]
    if has_client(given_packets, clients):
        cuts.append(client_windows(trace, clients, n))
        cuts.append(client_windows(trace, clients, n, remainder="keep", time_window=width(nanoseconds)))
        cuts.append(time_windows(trace, width(nanoseconds), by="pair", clients=clients, partial="drop"))
    for windows in cuts:
        frame = windows.to_frame()
        assert frame.columns.tolist() == ["packets", "first", "last"]
        assert frame.index.equals(windows.index)
        assert len(windows) == len(list(windows)) == len(frame)
        for part, inside, row in zip(windows, rows(windows), frame.itertuples(), strict=True):
            when = [given_packets[index].time_ns for index in inside]
            assert times(part) == when
            assert row.packets == len(when)
            assert row.first is pd.NaT if not when else row.first.value == min(when)
            assert row.last is pd.NaT if not when else row.last.value == max(when)
        members = [index for window in rows(windows) for index in window]
        assert len(set(members)) == len(members) == len(trace) - windows.dropped


def test_windows_are_a_sequence() -> None:
    trace = toolkit.load_example("obfs4")[:105]
    windows = count_windows(trace, 50)
    assert repr(windows) == "<Windows: 2 windows, 5 of 105 packets in none>"
    assert windows[-1].column("number").tolist() == trace.column("number")[50:100].tolist()
    assert windows[np.int64(0)].column("number").tolist() == trace.column("number")[:50].tolist()
    for wrong in (2, -3):
        with pytest.raises(IndexError):
            windows[wrong]
    with pytest.raises(TypeError):
        windows[0:1]  # type: ignore[index]
    assert windows != count_windows(trace, 50)
    assert windows[0].history[-1] == "rows by number: 50 of 105 packets"


def test_windows_are_half_open_to_the_nanosecond() -> None:
    start = 1_700_000_000_123_456_789
    trace = from_columns([A, X], time=[start, start + SECOND - 1, start + SECOND, start + 2 * SECOND - 1], dst=1)
    assert rows(time_windows(trace, "1s")) == [[0, 1], [2, 3]]
    assert rows(time_windows(trace, width(SECOND + 1))) == [[0, 1, 2], [3]]
    assert rows(time_windows(trace, width(SECOND - 1))) == [[0], [1, 2], [3]]


def test_equal_times_keep_their_order() -> None:
    trace = from_columns([A, X], time=[5, 5, 3, 5, 3], dst=1)
    assert rows(time_windows(trace, "1us")) == [[2, 4, 0, 1, 3]]


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_partial_is_the_last_window_of_the_trace_not_of_the_clients(order: list[int]) -> None:
    given_packets = [tcp(0), tcp(10), tcp(20), tcp(55, src=X, dst=Y)]
    trace = from_dicts([given_packets[index] for index in order])
    windows = time_windows(trace, "10ns", by="pair", clients=A, partial="drop")
    assert windows.time_window is not None
    assert windows.time_window.tolist() == [0, 1, 2]
    assert time_windows(trace, "10ns", partial="drop").time_window.tolist() == [0, 1, 2]  # type: ignore[union-attr]
    assert len(time_windows(trace, "56ns", by="pair", clients=A, partial="drop")) == 0


def test_synchronise() -> None:
    trace = from_columns([A, X], time=[5, 3, 9, 3], dst=1, ttl=[1, 2, 3, 4])
    moved = synchronise(trace, "2020-01-01")
    start = pd.Timestamp("2020-01-01", tz="UTC").value
    assert times(moved) == [start, start - 2, start + 4, start - 2]
    assert moved.history[-1] == "synchronise to 2020-01-01 00:00:00+00:00"
    ordered = synchronise(trace, pd.Timestamp("2020-01-01T01:00+01:00"), sort=True)
    assert times(ordered) == [start, start, start + 2, start + 6]
    assert ordered.column("ttl").tolist() == [2, 4, 1, 3]
    assert times(synchronise(trace, datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)))[0] == start
    assert times(synchronise(trace, np.datetime64("2020-01-01T00:00:00.000000007")))[0] == start + 7  # type: ignore[arg-type]
    assert times(trace) == [5, 3, 9, 3]
    assert not moved.column("time").flags.writeable
    empty = trace[:0]
    assert synchronise(empty, "2020-01-01") is empty


@pytest.mark.parametrize("target", [5, 5.0, True, np.int64(5), np.float32(5)])
def test_synchronise_takes_no_numbers(target: Any) -> None:
    with pytest.raises(TypeError, match="`target` must be a time such as '2020-01-01 12:00', got "):
        synchronise(toolkit.load_example("obfs4"), target)


@pytest.mark.parametrize("target", [pd.NaT, None, "", "abc", "12:00", "now", "60s", "3000-01-01", "1500000000"])
def test_synchronise_says_what_is_no_time(target: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - some of the messages are pandas' own
        synchronise(toolkit.load_example("obfs4"), target)


def test_synchronise_stays_within_64_bits() -> None:
    trace = from_columns([A, X], time=[0, SECOND], dst=1)
    last = pd.Timestamp.max.tz_localize("UTC")
    with pytest.raises(ValueError, match="out of the years 1677 to 2262"):
        synchronise(trace, last)
    assert synchronise(trace, last - width(SECOND)).stop == last
    both_ends = from_columns([A, X], time=[LAST, EARLIEST], dst=1)
    assert times(synchronise(both_ends, last)) == [LAST, EARLIEST]
    assert times(synchronise(both_ends, pd.Timestamp(EARLIEST), sort=True)) == [EARLIEST, LAST]
    with pytest.raises(ValueError, match="out of the years 1677 to 2262"):
        synchronise(both_ends, "1970-01-01")
    # the shift needs 65 bits, the result does not
    assert times(synchronise(from_columns([A, X], time=[EARLIEST], dst=1), last)) == [LAST]


# The ugly ones


def test_no_packets() -> None:
    empty = toolkit.load_example("obfs4")[:0]
    for windows in (
        count_windows(empty, 1, remainder="keep"),
        time_windows(empty, "1s"),
        time_windows(empty, "1s", by="pair", clients="10.0.0.0/8", partial="drop"),
        time_windows(empty, "1s", partial="drop"),
        client_windows(empty, "10.0.0.0/8", 1, remainder="keep"),
        client_windows(empty, "10.0.0.0/8", 5, time_window="1s"),
    ):
        assert len(windows) == 0
        assert list(windows) == []
        assert windows.dropped == 0
        assert windows.to_frame().empty
        assert "0 windows" in repr(windows)
    assert rows(Windows.whole(empty)) == [[]]
    assert len(Windows.whole(empty)[0]) == 0


def test_one_packet() -> None:
    one = from_dicts([tcp(7)])
    assert rows(count_windows(one, 1)) == rows(time_windows(one, "1ns")) == rows(client_windows(one, A, 1)) == [[0]]
    assert rows(count_windows(one, 2)) == rows(time_windows(one, "1ns", partial="drop")) == []
    assert client_windows(one, X, 1, time_window="60s").index.tolist() == [(X, A, 0, 0)]


def test_a_jump_of_fifty_years_makes_two_windows() -> None:
    size = 100_000
    when = np.arange(size) * 1_000
    when[size // 2 :] += FIFTY_YEARS
    trace = from_columns([A, X], time=when, dst=1, protocol=6)
    time_windows(trace[:10], "60s")  # compile
    started = time.process_time()
    windows = time_windows(trace, "60s")
    assert time.process_time() - started < 0.5
    assert windows.time_window is not None
    assert windows.time_window.tolist() == [0, FIFTY_YEARS // (60 * SECOND)]
    assert windows.to_frame()["packets"].tolist() == [size // 2, size // 2]
    assert len(time_windows(trace, "1ns", by="pair", clients=A)) == size


def test_a_clock_at_both_ends_of_64_bits() -> None:
    trace = from_columns([A, X], time=[LAST, 0, EARLIEST, LAST - 1], dst=1)
    span = LAST - EARLIEST
    windows = time_windows(trace, "2ns")
    assert windows.time_window is not None
    assert windows.time_window.tolist() == [0, -EARLIEST // 2, (span - 1) // 2, span // 2]
    assert rows(windows) == [[2], [1], [3], [0]]
    assert time_windows(trace, width(LAST)).time_window.tolist() == [0, 1, 2]  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="windows of 1 ns are too short for a trace of 18446744073709551614 ns"):
        time_windows(trace, "1ns")
    with pytest.raises(ValueError, match="windows of 1 ns are too short"):
        client_windows(trace, A, 1, time_window="1ns")
    frame = windows.to_frame()
    assert frame["first"].iloc[0].value == EARLIEST
    assert frame["last"].iloc[-1].value == LAST


def test_overlapping_networks_and_clients_that_talk_to_each_other() -> None:
    trace = from_dicts([tcp(src=A, dst=B), tcp(src=B, dst=A), tcp(src=X, dst=B)])
    assert client_windows(trace, ["10.0.0.0/24"], 1).index.tolist() == [(A, B, 0), (B, A, 0), (B, X, 0)]
    assert client_windows(trace, [B, "10.0.0.0/24"], 1).index.tolist() == [(B, A, 0), (B, A, 1), (B, X, 0)]
    assert client_windows(trace, ["10.0.0.0/24", B], 1).index.tolist() == [(A, B, 0), (B, A, 0), (B, X, 0)]
    assert client_windows(trace, ["0.0.0.0/0", A], 1).index.tolist() == [(A, B, 0), (B, A, 0), (X, B, 0)]


def test_families_do_not_match_each_other() -> None:
    trace = from_dicts([tcp(src="2001:db8::1", dst="2001:db8::2"), tcp(), tcp(src="::a00:1", dst="2001:db8::2")])
    assert client_windows(trace, "0.0.0.0/0", 1).index.tolist() == [(A, X, 0)]
    assert client_windows(trace, ["::/0"], 1).dropped == 1
    with pytest.raises(NoClientError):
        client_windows(trace[1:2], "::/0", 1)


def test_no_client_names_the_busiest_hosts() -> None:
    trace = from_dicts([tcp()] * 1_200 + [tcp(src=Y)])
    message = (
        "no packet has a client in 203.0.113.0/24, 2001:db8::/32; "
        f"the busiest hosts are {X} (1,201 packets), {A} (1,200 packets), {Y} (1 packets)"
    )
    clients = ["203.0.113.0/24", "2001:db8::/32"]
    for call in (
        lambda: client_windows(trace, clients, 5),
        lambda: time_windows(trace, "1s", by="pair", clients=clients),
        lambda: toolkit.window_features(count_windows(trace, 5), clients),
        lambda: toolkit.client_features(trace, clients),
        lambda: trace.select(clients=clients),
    ):
        with pytest.raises(NoClientError) as caught:
            call()
        assert str(caught.value) == message
        assert isinstance(caught.value, ValueError)
        assert isinstance(caught.value, toolkit.ToolkitError)
    many = [f"203.0.113.{i}" for i in range(9)]
    with pytest.raises(NoClientError, match=r"203.0.113.4/32, \.\.\.; the busiest"):
        client_windows(trace, many, 5)


@pytest.mark.parametrize("n", [True, False, 0, -1, 2.0, "5", None, np.float64(3), [1]])
def test_number_of_packets_is_checked(n: Any) -> None:
    trace = toolkit.load_example("obfs4")
    for call in (
        lambda: count_windows(trace, n),
        lambda: client_windows(trace, "10.77.0.0/24", n),
        lambda: toolkit.client_features(trace, "10.77.0.0/24", packet_window=n),
    ):
        with pytest.raises(ValueError, match="packets in a window must be an int of 1 or more, got"):
            call()


@pytest.mark.parametrize("n", [np.int64(5), np.uint8(5), 2**31, 2**63 - 1, 10**30])
def test_number_of_packets_may_be_of_any_size(n: Any) -> None:
    trace = toolkit.load_example("obfs4")
    size = min(int(n), len(trace))
    assert len(count_windows(trace, n)) == len(trace) // int(n)
    assert rows(count_windows(trace, n, remainder="keep"))[0] == list(range(size))
    kept = client_windows(trace, "10.77.0.0/24", n, remainder="keep")
    assert kept.to_frame()["packets"].sum() == len(trace)
    assert kept.to_frame()["packets"].max() <= n


@pytest.mark.parametrize(
    "value", ["0s", "-1s", 60, 60.0, float("nan"), "nan", "abc", "", "60", "1e3", pd.NaT, None, True, np.int64(60), [1]]
)
def test_width_is_checked(value: Any) -> None:
    trace = toolkit.load_example("obfs4")
    calls = [
        lambda: time_windows(trace, value),
        lambda: toolkit.client_features(trace, "10.77.0.0/24", time_window=value),
    ]
    if value is not None:
        calls.append(lambda: client_windows(trace, "10.77.0.0/24", 5, time_window=value))
    for call in calls:
        with pytest.raises(ValueError, match="duration must"):
            call()


@pytest.mark.parametrize(
    "value", ["60s", "1min", "0 days 00:01:00", pd.Timedelta("60s"), datetime.timedelta(minutes=1)]
)
def test_width_may_be_written_in_many_ways(value: Any) -> None:
    trace = toolkit.load_example("obfs4")
    assert rows(time_windows(trace, value)) == rows(time_windows(trace, width(60 * SECOND)))
    assert rows(time_windows(trace, np.timedelta64(60, "s"))) == rows(time_windows(trace, value))  # type: ignore[arg-type]


def test_options_are_checked() -> None:
    trace = toolkit.load_example("obfs4")
    with pytest.raises(ValueError, match="`remainder` must be one of 'drop', 'keep', got 'all'"):
        count_windows(trace, 5, remainder="all")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`remainder` must be one of"):
        client_windows(trace, "10.77.0.0/24", 5, remainder=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`by` must be one of 'trace', 'pair', got 'host'"):
        time_windows(trace, "1s", by="host")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`partial` must be one of"):
        time_windows(trace, "1s", partial="yes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="by='pair' goes with `clients`"):
        time_windows(trace, "1s", by="pair")
    with pytest.raises(ValueError, match="by='trace' without"):
        time_windows(trace, "1s", clients="10.77.0.0/24")


@pytest.mark.parametrize(
    "clients",
    [
        "10.77.0.0/24",
        ["10.77.0.0/24"],
        ("10.77.0.0/25", "10.77.0.128/25"),
        ipaddress.ip_network("10.77.0.0/24"),
        [ipaddress.ip_address("10.77.0.11"), ipaddress.ip_network("10.77.0.12/31")],
        pd.Series(["10.77.0.0/24"]),
        np.array(["10.77.0.0/24"]),
        {"10.77.0.0/24": "lab"},
        "10.77.0.0/255.255.255.0",
    ],
)
def test_clients_may_be_given_in_many_ways(clients: Any) -> None:
    trace = toolkit.load_example("obfs4")
    assert rows(client_windows(trace, clients, 5)) == rows(client_windows(trace, "10.77.0.0/24", 5))
    assert rows(client_windows(trace, iter(list(["10.77.0.0/24"])), 5)) == rows(client_windows(trace, clients, 5))


@pytest.mark.parametrize("clients", ["10.77.0.1/24", [], "", (), ["lab"], 5, [5], None, b"10.0", [None], "10.0.0.0/33"])
def test_clients_are_checked(clients: Any) -> None:
    with pytest.raises(ValueError, match=r"`clients` must name at least one|a client must be an address or a network"):
        client_windows(toolkit.load_example("obfs4"), clients, 5)


def test_many_packets_and_pairs_are_those_of_pandas() -> None:
    """More packets than a chunk, more pairs than a chunk, and the table of pairs grows several times."""
    size, n_hosts = 200_000, 70_000
    random = np.random.default_rng(7)
    hosts = [str(ipaddress.ip_address(0x0A000000 + i)) for i in range(n_hosts)]
    src = random.integers(0, n_hosts, size)
    dst = random.integers(0, n_hosts, size)
    busy = random.random(size) < 0.5
    src[busy], dst[busy] = src[busy] % 300, dst[busy] % 5
    # equal times, and times going back over the edges of windows
    when = np.arange(size) // 3 * 2_000 + random.integers(-50_000, 50_000, size)
    trace = from_columns(hosts, time=when, src=src, dst=dst)
    clients = ["10.0.0.0/23", "10.0.128.0/17"]
    first = np.arange(n_hosts) < 512
    second = (np.arange(n_hosts) >= 0x8000) & (np.arange(n_hosts) < 0x10000)
    rank = np.select([first, second], [0, 1], 2)
    own_src = (rank[src] <= rank[dst]) & (rank[src] < 2)
    own_dst = ~own_src & (rank[dst] < 2)
    frame = pd.DataFrame(
        {
            "client": np.where(own_src, src, dst),
            "target": np.where(own_src, dst, src),
            "time_window": (when - when.min()) // 10_000_000,
        }
    )[own_src | own_dst]
    assert frame[["client", "target"]].drop_duplicates().shape[0] > 70_000

    for keys, time_window in ((["client", "target"], None), (["time_window", "client", "target"], "10ms")):
        ordered = frame if time_window is None else frame.iloc[np.argsort(when[frame.index], kind="stable")]
        group = ordered.groupby(keys, sort=False).ngroup()
        window = ordered.groupby(keys, sort=False).cumcount() // 3
        expected = ordered.assign(group=group, window=window, row=ordered.index)
        expected = expected.sort_values(["group", "window"], kind="stable")
        sizes = expected.groupby(["group", "window"]).size()
        whole = expected[(expected.groupby(["group", "window"])["row"].transform("size") == 3).to_numpy()]

        kept = client_windows(trace, clients, 3, time_window=time_window, remainder="keep")
        assert kept.order.tolist() == expected["row"].tolist()
        assert (kept.stop - kept.start).tolist() == sizes.tolist()
        dropped = client_windows(trace, clients, 3, time_window=time_window)
        heads = whole.groupby(["group", "window"]).head(1)
        assert np.concatenate(rows(dropped)).tolist() == whole["row"].tolist()
        assert dropped.client is not None
        assert dropped.target is not None
        assert dropped.client.tolist() == heads["client"].tolist()
        assert dropped.target.tolist() == heads["target"].tolist()
        assert dropped.window.tolist() == heads["window"].tolist()
        if time_window is not None:
            assert dropped.time_window is not None
            assert dropped.time_window.tolist() == heads["time_window"].tolist()
