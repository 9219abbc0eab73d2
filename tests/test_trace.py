"""The trace: selecting, joining, its columns and payloads, where it came from, and what it says of itself."""

from __future__ import annotations

import datetime
import gzip
import hashlib
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from making import SECOND, capture, from_capture, from_columns, from_dicts, quick
from reference import ICMP, TCP, UDP, Packet
from strategies import networks, packets

import toolkit
from toolkit import NoClientError, ToolkitError, Trace
from toolkit.columns import Columns
from toolkit.selection import PROTOCOLS

A, B, X, Y = "10.0.0.1", "10.0.0.2", "192.0.2.9", "198.51.100.7"
START = 1_700_000_000_123_456_789
EARLIEST, LAST = np.iinfo(np.int64).min + 1, np.iinfo(np.int64).max


def tcp(time_ns: int = START, size: int = 0, src: str = A, dst: str = X, **other: Any) -> Packet:
    payload = other.pop("payload", b"a" * size)
    ports = {"src_port": 40_001, "dst_port": 443} | other
    return Packet(time_ns, src, dst, TCP, 40 + len(payload), payload=payload, **ports)


def udp(time_ns: int = START, src: str = A, dst: str = X, src_port: int = 5_353, dst_port: int = 53) -> Packet:
    return Packet(time_ns, src, dst, UDP, 33, src_port, dst_port, payload=b"hello")


def kept(trace: Trace) -> list[int]:
    """Which packets of the file are there."""
    return (trace.column("number").astype(int) - 1).tolist()


@pytest.fixture
def mixed() -> Trace:
    """Six packets, 10 s apart."""
    made = [
        tcp(START, 0),
        udp(START + 10 * SECOND),
        tcp(START + 20 * SECOND, 100, X, A, src_port=443, dst_port=40_001),
        Packet(START + 30 * SECOND, X, B, ICMP, 28),
        tcp(START + 40 * SECOND, 5, "2001:db8::1", "2001:db8::2"),
        udp(START + 50 * SECOND, B, Y, 443, 9_999),
    ]
    made[4] = Packet(START + 40 * SECOND, "2001:db8::1", "2001:db8::2", TCP, 65, 40_002, 8_443, payload=b"12345")
    return from_capture(made)


# Selecting


@given(packets(), st.data())
@quick
def test_rows_by_mask_slice_and_number(given_packets: list[Packet], data: st.DataObject) -> None:
    trace = from_capture(given_packets)
    size = len(given_packets)
    edge = st.none() | st.integers(-size - 2, size + 2)
    cut = slice(data.draw(edge), data.draw(edge), data.draw(st.sampled_from([None, 1, 2, 3, -1, -2])))
    mask = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    some = data.draw(st.lists(st.integers(-size, size - 1), max_size=2 * size)) if size else []
    rows = list(range(size))
    for asked, expected in (
        (cut, rows[cut]),
        (mask, [row for row in rows if mask[row]]),
        (np.array(mask, bool), [row for row in rows if mask[row]]),
        (some, [rows[row] for row in some]),
        (np.array(some, np.int32), [rows[row] for row in some]),
    ):
        part = trace[asked]
        check_part(trace, part, expected, given_packets)
    again = trace[mask][::-1]
    check_part(trace, again, [row for row in rows if mask[row]][::-1], given_packets)


def check_part(whole: Trace, part: Trace, rows: list[int], given_packets: list[Packet]) -> None:
    """Every column, the hosts, the payloads and the read-only flags of a selection."""
    assert kept(part) == rows
    for name in Columns._fields:
        if name not in ("src", "dst"):
            assert part.column(name).tolist() == whole.column(name)[rows].tolist()
        assert part.column(name).dtype == whole.column(name).dtype
        assert part.column(name).flags.c_contiguous
        assert not part.column(name).flags.writeable
    ends = [(given_packets[row].src, given_packets[row].dst) for row in rows]
    assert [(part.hosts[a], part.hosts[b]) for a, b in zip(part.column("src"), part.column("dst"), strict=True)] == ends
    assert set(part.hosts) == {host for pair in ends for host in pair}
    assert [host for host in whole.hosts if host in part.hosts] == list(part.hosts)
    for place, row in enumerate(rows):
        if given_packets[row].protocol in (TCP, UDP):
            assert bytes(part.payload(place)) == given_packets[row].payload
            assert bytes(part.payload(place - len(rows))) == given_packets[row].payload
    assert part.packets["src"].astype(str).tolist() == [src for src, _ in ends]


def test_a_mask_from_sorted_packets_goes_by_its_index(mixed: Trace) -> None:
    frame = mixed.packets.sort_values("payload_length", ascending=False)
    long = frame["payload_length"] >= 100
    assert kept(mixed[long]) == [2]
    assert kept(mixed[long.to_numpy()]) == [0]  # without an index it goes by place
    assert kept(mixed.select(where=lambda table: table.sort_values("payload_length")["payload_length"] >= 100)) == [2]
    by_time = mixed.packets.set_index("time")["payload_length"] >= 100
    assert kept(mixed[by_time]) == [2]
    assert kept(mixed[frame.index[:2]]) == frame.index[:2].tolist()
    with pytest.raises(IndexError, match="a mask must have one value a packet, 6, got 3"):
        mixed[long[long.index > 2]]


def test_wrong_rows(mixed: Trace) -> None:
    with pytest.raises(IndexError, match="a mask must have one value a packet, 6, got 2"):
        mixed[[True, False]]
    with pytest.raises(IndexError, match="a mask must have one value a packet, 6, got 7"):
        mixed[np.ones(7, bool)]
    with pytest.raises(IndexError, match="index 6 is out of bounds"):
        mixed[[0, 6]]
    with pytest.raises(IndexError, match="out of bounds"):
        mixed[[-7]]
    for wrong in (3, True, "ttl", None, np.int64(3), [[0, 1], [2, 3]]):
        with pytest.raises(TypeError, match="rows must be a mask, a slice or a list of row numbers, got"):
            mixed[wrong]
    for wrong in ([0.0, 1.0], ["a"], [None]):
        with pytest.raises(TypeError, match="row numbers must be integers, got"):
            mixed[wrong]
    with pytest.raises(TypeError):
        iter(mixed).__next__()
    assert len(mixed[[]]) == 0


def test_chains_of_selections(mixed: Trace) -> None:
    step = mixed.select(clients="10.0.0.0/8").select(start="5s")[1:]
    once = mixed.select(clients="10.0.0.0/8", start="10s")
    # the second start counts from the earliest packet of what is left, which is the same here
    assert kept(step) == kept(once)[1:] == [2, 3, 5]
    assert step.history == (
        "read made.pcapng",
        "select(clients=['10.0.0.0/8']): 5 of 6 packets",
        "select(start=5s): 4 of 5 packets",
        "rows 1:: 3 of 4 packets",
    )
    assert mixed[:2].history[-1] == "rows :2: 2 of 6 packets"
    assert mixed[1:5:2].history[-1] == "rows 1:5:2: 2 of 6 packets"
    assert mixed[[True] * 6].history[-1] == "mask: 6 of 6 packets"
    assert mixed[[0]].history[-1] == "rows by number: 1 of 6 packets"
    assert step.source is mixed.source
    assert kept(mixed.select()) == list(range(6))
    assert mixed.select().history[-1] == "select(): 6 of 6 packets"


@given(packets(), networks())
@quick
def test_select_clients(given_packets: list[Packet], clients: list[str]) -> None:
    trace = from_capture(given_packets)
    expected = [
        row
        for row, packet in enumerate(given_packets)
        if reference.is_client(packet.src, clients) or reference.is_client(packet.dst, clients)
    ]
    if given_packets and not expected:
        with pytest.raises(NoClientError, match=r"no packet has a client in .*; the busiest hosts are .* packets\)"):
            trace.select(clients=clients)
    else:
        part = trace.select(clients=iter(clients))
        assert kept(part) == expected
        assert part.history[-1].startswith("select(clients=['")


def test_select_protocol(mixed: Trace) -> None:
    for protocol, rows in (
        ("tcp", [0, 2, 4]),
        ("TCP", [0, 2, 4]),
        (6, [0, 2, 4]),
        (np.uint8(6), [0, 2, 4]),
        ("udp", [1, 5]),
        ("icmp", [3]),
        (1, [3]),
        (0, []),
        (255, []),
        ("sctp", []),
    ):
        assert kept(mixed.select(protocol=protocol)) == rows  # type: ignore[arg-type]
    assert PROTOCOLS["tcp"] == 6
    for wrong in ("tpc", "", "6"):
        with pytest.raises(ValueError, match=f"`protocol` must be a number or one of icmp, .*, got '{wrong}'"):
            mixed.select(protocol=wrong)
    for number in (256, -1, True, 6.0, 6.5, [6], b"tcp"):
        with pytest.raises(ValueError, match="`protocol` must be a name or a number from 0 to 255, got"):
            mixed.select(protocol=number)  # type: ignore[arg-type]


def test_select_port(mixed: Trace) -> None:
    for port, rows in (
        (443, [0, 2, 5]),
        ([53, 8_443], [1, 4]),
        (range(40_000, 50_000), [0, 2, 4]),
        (np.uint16(53), [1]),
        (np.array([53]), [1]),
        ({9_999}, [5]),
        (0, []),  # the ICMP packet has none
        (65_535, []),
        ([], []),
    ):
        assert kept(mixed.select(port=port)) == rows  # type: ignore[arg-type]
    for wrong in (65_536, -1, True, [443, 70_000], [443.0], "443", ["443"], [None]):
        with pytest.raises(ValueError, match="`port` must be from 0 to 65535, got"):
            mixed.select(port=wrong)  # type: ignore[arg-type]


def test_select_time_is_half_open_to_the_nanosecond(mixed: Trace) -> None:
    third = pd.Timestamp(START + 20 * SECOND, tz="UTC")
    one = pd.Timedelta(1, unit="ns")
    assert kept(mixed.select(start=third)) == [2, 3, 4, 5]
    assert kept(mixed.select(start=third + one)) == [3, 4, 5]
    assert kept(mixed.select(stop=third)) == [0, 1]
    assert kept(mixed.select(stop=third + one)) == [0, 1, 2]
    assert kept(mixed.select(start=third, stop=third)) == []
    assert kept(mixed.select(start=third, stop=third + one)) == [2]
    twenty = pd.Timedelta("20s")
    assert kept(mixed.select(start=twenty, stop="40s")) == [2, 3]
    assert kept(mixed.select(start=twenty + one)) == [3, 4, 5]
    assert kept(mixed.select(stop=twenty + one)) == [0, 1, 2]
    assert kept(mixed.select(start="-1s", stop="0s")) == []
    assert kept(mixed.select(stop="1ns")) == [0]


def test_select_time_in_many_forms(mixed: Trace) -> None:
    assert str(pd.Timestamp(START)) == "2023-11-14 22:13:20.123456789"
    for start in (
        "2023-11-14 22:13:40.123456789",
        "2023-11-14T22:13:40.123456789Z",
        "2023-11-15T00:13:40.123456789+02:00",
        pd.Timestamp("2023-11-14 22:13:40.123456789"),
        pd.Timestamp("2023-11-14 23:13:40.123456789", tz="Europe/Paris"),
        datetime.datetime(2023, 11, 14, 22, 13, 40, 123_456, tzinfo=datetime.UTC),
        np.datetime64("2023-11-14T22:13:40"),
        "20s",
        "00:00:20",
        "20 seconds",
        pd.Timedelta(seconds=20),
        datetime.timedelta(seconds=20),
        np.timedelta64(20, "s"),
    ):
        assert kept(mixed.select(start=start)) == [2, 3, 4, 5]  # type: ignore[arg-type]
    assert kept(mixed.select(start="2023-11-14", stop="2023-11-15")) == list(range(6))
    assert kept(mixed.select(start=datetime.date(2023, 11, 15))) == []  # type: ignore[arg-type]
    # further than nanoseconds of 64 bits reach
    assert kept(mixed.select(start="1000-01-01", stop="9999-12-31")) == list(range(6))
    assert kept(mixed.select(start="106000 days")) == []
    backwards = mixed[::-1]
    assert kept(backwards.select(start="20s")) == [5, 4, 3, 2]  # since the earliest, which is the last


@pytest.mark.parametrize("moment", [60, 60.0, 1.5e9, True, np.int64(60), np.float32(1), float("nan")])
def test_select_takes_no_numbers_for_times(mixed: Trace, moment: Any) -> None:
    for name in ("start", "stop"):
        with pytest.raises(TypeError, match=f"`{name}` must be a time such as '2020-01-01 12:00' or a duration such"):
            mixed.select(**{name: moment})


@pytest.mark.parametrize("moment", ["60", "2020", "1e9", "nan", "NaT", "", "abc", "now", "12:00", "2023-13-01", pd.NaT])
def test_select_says_what_is_no_time(mixed: Trace, moment: Any) -> None:
    for name in ("start", "stop"):
        with pytest.raises(ValueError, match=f"`{name}` must be a time such as '2020-01-01 12:00' or a duration such"):
            mixed.select(**{name: moment})


def test_select_payload_and_where(mixed: Trace) -> None:
    assert kept(mixed.select(payload_only=True, protocol="tcp")) == [2, 4]
    assert kept(mixed.select(where="payload_length > 4 and src_port > 500")) == [1, 4]
    shortest = 100  # noqa: F841 - the expression looks for it here
    assert kept(mixed.select(where="payload_length >= @shortest")) == [2]
    assert kept(mixed.select(where=lambda table: table["dst"] == A)) == [2]
    assert kept(mixed.select(where=lambda table: (table["ttl"] > 0).to_numpy())) == list(range(6))
    assert mixed.select(where="ttl == 64").history[-1] == "select(where='ttl == 64'): 6 of 6 packets"
    assert mixed.select(where=lambda t: t["ttl"] == 64).history[-1] == "select(where=<function>): 6 of 6 packets"
    for wrong, shape in (("ttl", r"uint8 of shape \(6,\)"), ("1 == 1", r"bool of shape \(\)")):
        with pytest.raises(ValueError, match=f"`where` must give one boolean a packet, got {shape}"):
            mixed.select(where=wrong)
    for function in (lambda table: [True], lambda table: table, lambda table: None):
        with pytest.raises(ValueError, match="`where` must give one boolean a packet, got"):
            mixed.select(where=function)
    with pytest.raises(NameError, match="colour"):
        mixed.select(where="colour == 1")


def test_select_by_all_at_once(mixed: Trace) -> None:
    part = mixed.select(
        clients=["10.0.0.0/8"], protocol="udp", port=443, start="1s", stop="1min", payload_only=True, where="ttl > 1"
    )
    assert kept(part) == [5]
    assert part.hosts == (B, Y)
    assert part.history[-1] == (
        "select(clients=['10.0.0.0/8'], protocol='udp', port=[443], start=1s, stop=1min, payload_only=True, "
        "where='ttl > 1'): 1 of 6 packets"
    )


# Nothing is changed


def test_columns_are_read_only(mixed: Trace) -> None:
    parts = [mixed, mixed[1:], mixed[::2], mixed[[0, 1]], toolkit.concat([mixed, mixed]), mixed.select(protocol=6)]
    parts += [from_dicts([tcp()]), toolkit.synchronise(mixed, "2020-01-01"), toolkit.load_example("obfs4")]
    for trace in parts:
        for name in Columns._fields:
            with pytest.raises(ValueError, match="read-only"):
                trace.column(name)[0] = 1
        with pytest.raises(TypeError):
            trace.payload(0)[:1] = b"x"
        assert trace.payload(0).readonly
        assert trace.columns.time is trace.column("time")
    with pytest.raises(ValueError, match="no column 'colour': there are time, src, dst,"):
        mixed.column("colour")


def test_changing_the_packets_changes_no_trace(mixed: Trace) -> None:
    before = mixed.packets.copy()
    frame = mixed.packets
    frame["ttl"] = 1
    frame["mine"] = 2
    del frame["tcp_ack"]
    frame = frame.sort_values("payload_length")
    frame = mixed.packets
    try:
        frame.loc[0, "src_port"] = 9
        frame.iloc[1, 0] = pd.Timestamp(0, tz="UTC")
        frame["payload_length"] += 1
        written = frame["src_port"].iloc[0] == 9
        assert written
    except ValueError as error:  # pandas before 3 writes into the array itself
        assert "read-only" in str(error)  # noqa: PT017

    def spoil(table: pd.DataFrame) -> pd.Series:
        table["ttl"] = 1
        return table["ttl"] == 1

    assert kept(mixed.select(where=spoil)) == list(range(6))
    pd.testing.assert_frame_equal(mixed.packets, before)
    assert mixed.column("src_port")[0] == 40_001
    assert kept(mixed.select(where="ttl == 64")) == list(range(6))


def test_packets_are_the_columns(mixed: Trace) -> None:
    frame = mixed.packets
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "time": "datetime64[ns, UTC]",
        "src": "category",
        "dst": "category",
        "protocol": "uint8",
        "src_port": "uint16",
        "dst_port": "uint16",
        "ip_length": "int32",
        "ttl": "uint8",
        "tcp_seq": "uint32",
        "tcp_ack": "uint32",
        "tcp_flags": "uint16",
        "payload_length": "int32",
        "payload_captured": "int32",
        "tls_type": "uint8",
        "ip_id": "uint16",
        "marks": "uint8",
        "number": "uint32",
        "frame_length": "int32",
        "frame_captured": "int32",
    }
    assert frame["src"].cat.categories.tolist() == list(mixed.hosts)
    assert frame["time"].astype("int64").tolist() == mixed.column("time").tolist()
    assert frame.index.equals(pd.RangeIndex(6))
    for name in frame.columns.difference(["time", "src", "dst"]):
        assert frame[name].tolist() == mixed.column(name).tolist()
        assert np.shares_memory(frame[name].to_numpy(), mixed.column(name))
    assert mixed[:0].packets.dtypes.equals(frame[:0].dtypes) or mixed[:0].hosts == ()
    assert len(mixed[:0].packets) == 0


# Payloads


@given(packets())
@quick
def test_payloads(given_packets: list[Packet]) -> None:
    trace = from_capture(given_packets)
    both = toolkit.concat([trace, from_dicts([tcp(payload=b"xyz"), tcp()]), trace[::-1]])
    for row, packet in enumerate(given_packets):
        if packet.protocol in (TCP, UDP):
            assert bytes(trace.payload(row)) == packet.payload
            assert bytes(both.payload(row)) == packet.payload
            assert bytes(both.payload(len(both) - 1 - row)) == packet.payload
            assert trace.column("payload_captured")[row] == len(packet.payload)
            assert trace.column("payload_length")[row] == packet.payload_length
    assert bytes(both.payload(len(trace))) == b"xyz"
    assert bytes(both.payload(len(trace) + 1)) == b""


def test_payload_rows(mixed: Trace) -> None:
    assert bytes(mixed.payload(4)) == b"12345"
    assert bytes(mixed.payload(-2)) == b"12345"
    assert bytes(mixed.payload(np.int64(0))) == b""
    for wrong in (6, -7):
        with pytest.raises(IndexError):
            mixed.payload(wrong)
    with pytest.raises(IndexError):
        mixed[:0].payload(0)


def test_payloads_of_dictionaries_that_have_none() -> None:
    trace = from_dicts([udp(), udp()])
    assert bytes(trace.payload(1)) == b""
    assert [packet["tcp_info"] for packet in trace.to_packets()] == [None, None]
    assert toolkit.payload_entropy(trace).tolist() == [0, 0]


# Joining


def test_concat_equals_its_parts() -> None:
    parts = [
        toolkit.load_example("obfs4")[:50],
        toolkit.load_example("https")[10:60],
        toolkit.load_example("obfs4")[5:9],
    ]
    whole = toolkit.concat(iter(parts))
    frame = pd.concat([part.packets.astype({"src": object, "dst": object}) for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(whole.packets.astype({"src": object, "dst": object}), frame)
    assert whole.hosts == tuple(dict.fromkeys(host for part in parts for host in part.hosts))
    payloads = [bytes(part.payload(i)) for part in parts for i in range(len(part))]
    assert [bytes(whole.payload(i)) for i in range(len(whole))] == payloads
    assert [source.name for source in whole.sources] == ["obfs4.pcap", "https.pcap", "obfs4.pcap"]
    with pytest.raises(ToolkitError, match=r"the trace has 3 sources: use `trace.sources`"):
        _ = whole.source
    assert whole.history[-1] == "concat of 3 traces: 104 packets"
    assert whole.history[0] == "read obfs4.pcap"


@given(packets(), st.lists(st.integers(0, 40), max_size=4))
@quick
def test_parts_of_one_capture_are_joined_without_its_bytes_twice(given_packets: list[Packet], cuts: list[int]) -> None:
    trace = from_capture(given_packets)
    edges = [0, *sorted(min(cut, len(trace)) for cut in cuts), len(trace)]
    parts = [trace[a:b] for a, b in pairwise(edges)]
    whole = toolkit.concat(parts)
    pd.testing.assert_frame_equal(
        whole.packets.astype({"src": str, "dst": str}), trace.packets.astype({"src": str, "dst": str})
    )
    assert whole.source is trace.source
    assert whole.storage.parts[0] is trace.storage.parts[0]
    assert len(whole.storage.parts) == 1
    assert whole.column("frame_offset").tolist() == trace.column("frame_offset").tolist()
    assert whole.health()["non-IP frames"].of == trace.health()["non-IP frames"].of


def test_concat_of_a_thousand_windows_is_quick() -> None:
    trace = toolkit.load_example("obfs4")
    windows = toolkit.count_windows(trace, 1)
    whole = toolkit.concat(windows)
    assert len(whole.storage.parts) == 1
    assert toolkit.payload_entropy(whole).tolist() == toolkit.payload_entropy(trace).tolist()


def test_concat_of_concats() -> None:
    a, b = from_dicts([tcp(payload=b"aa")]), from_dicts([tcp(payload=b"bb"), tcp()])
    c = from_columns([A, X], time=[1, 2], dst=1)
    whole = toolkit.concat([toolkit.concat([a, b]), toolkit.concat([b[::-1], c, a]), c])
    assert [bytes(whole.payload(i)) for i in range(len(whole))] == [
        b"aa",
        b"bb",
        b"",
        b"",
        b"bb",
        b"",
        b"",
        b"aa",
        b"",
        b"",
    ]
    assert len(whole.storage.parts) == len(whole.sources) == 3
    assert whole.hosts == (A, X)


def test_concat_of_nothing() -> None:
    with pytest.raises(ValueError, match="`traces` must hold at least one trace, got none"):
        toolkit.concat([])
    trace = toolkit.load_example("obfs4")
    empty = toolkit.concat([trace[:0], from_dicts([])])
    assert len(empty) == 0
    assert empty.hosts == ()
    one = toolkit.concat([trace[:0], trace[:5], from_dicts([])])
    assert kept(one) == kept(trace[:5])
    assert [bytes(one.payload(i)) for i in range(5)] == [bytes(trace.payload(i)) for i in range(5)]


def test_concat_keeps_families_apart() -> None:
    trace = toolkit.concat(
        [from_dicts([tcp(src="::a00:1", dst="::1")]), from_dicts([tcp(src="10.0.0.1", dst="0.0.0.1")])]
    )
    assert trace.hosts == ("::a00:1", "::1", "10.0.0.1", "0.0.0.1")
    assert trace.host_families() == [6, 6, 4, 4]


# Where it came from, and what it says


def test_source(tmp_path: Path) -> None:
    content = gzip.compress(capture([tcp(), udp()]), mtime=0)
    path = tmp_path / "two <packets>.gz"
    path.write_bytes(content)
    trace = toolkit.read(path)
    assert trace.source.path == str(path)
    assert trace.source.name == "two <packets>.gz"
    assert trace.source.compression == "gzip"
    assert trace.source.frames == trace.source.packets == 2
    assert trace.source.sha256 == hashlib.sha256(content).hexdigest()
    assert trace[:1].source is trace.source
    assert trace.sources == (trace.source,)
    assert trace.history == ("read two <packets>.gz",)
    made = from_dicts([tcp()])
    assert made.source.sha256 == ""
    assert made.source.name == "packets"
    assert "two &lt;packets&gt;.gz" in trace._repr_html_()
    assert "<packets>" not in trace._repr_html_()


def test_start_stop_and_duration(mixed: Trace) -> None:
    for trace in (mixed, mixed[::-1], mixed[[3, 5, 0]]):
        assert trace.start.value == START
        assert trace.stop.value == START + 50 * SECOND
        assert str(trace.start.tz) == "UTC"
        assert trace.duration == pd.Timedelta("50s")
    one = mixed[2:3]
    assert one.start == one.stop
    assert one.duration == pd.Timedelta(0)
    ends = from_columns([A, X], time=[LAST, EARLIEST], dst=1)
    assert (ends.start.value, ends.stop.value) == (EARLIEST, LAST)
    assert ends.duration == pd.Timedelta.max
    assert ends.packets["time"].astype("int64").tolist() == [LAST, EARLIEST]
    assert len(ends.select(start="1s")) == 1


def test_repr_and_summary(mixed: Trace) -> None:
    assert repr(mixed) == "<Trace made.pcapng: 6 packets, 6 hosts, 50.000 s>"
    assert repr(toolkit.concat([mixed, from_dicts([tcp()])])).startswith(
        "<Trace made.pcapng, packets: 7 packets, 6 hosts"
    )
    four = [from_dicts([tcp()]) for _ in range(4)]
    assert repr(toolkit.concat(four)) == "<Trace packets, packets, packets, ...: 4 packets, 2 hosts, 0.000 s>"
    assert mixed.summary().to_dict() == {
        "captures": "made.pcapng",
        "format": mixed.source.format,
        "packets": "6",
        "hosts": "6",
        "first packet": "2023-11-14 22:13:20.123456789+00:00",
        "duration": "50.000 s",
        "protocols": "TCP 3, UDP 2, ICMP 1",
        "payload bytes": f"{mixed.column('payload_length').sum()}",
    }
    odd = from_columns([A, X], time=[0, 1, 2], dst=1, protocol=[200, 200, 6])
    assert odd.summary()["protocols"] == "protocol 200 2, TCP 1"
    many = from_columns([A, X], time=np.zeros(3_000), dst=1, protocol=6, payload_length=2**30)
    assert many.summary()["payload bytes"] == f"{3_000 * 2**30:,}"
    assert many.summary()["packets"] == "3,000"
    both = toolkit.concat([mixed, mixed[:0], from_dicts([tcp()])])
    assert both.summary()["format"] == f"{mixed.source.format}, packet dictionaries"


@given(packets(min_size=1))
@quick
def test_top_hosts(given_packets: list[Packet]) -> None:
    trace = from_capture(given_packets)
    sent = Counter(packet.src for packet in given_packets)
    received = Counter(packet.dst for packet in given_packets)
    table = trace.top_hosts(100)
    assert table.index.name == "host"
    assert set(table.index) == set(trace.hosts)
    busy = (table["sent"] + table["received"]).tolist()
    assert busy == sorted(busy, reverse=True)
    for row in table.itertuples():
        assert (row.sent, row.received) == (sent[row.Index], received[row.Index])
        assert row.bytes_sent == sum(p.ip_length for p in given_packets if p.src == row.Index)
        assert row.bytes_received == sum(p.ip_length for p in given_packets if p.dst == row.Index)
        assert row.share == sum(row.Index in (p.src, p.dst) for p in given_packets) / len(given_packets)
    assert trace.top_hosts(1).index.tolist() == table.index.tolist()[:1]
    assert len(trace.top_hosts(0)) == 0


def test_html_has_summary_hosts_and_health(mixed: Trace) -> None:
    page = mixed._repr_html_()
    for text in ("6 packets, 6 hosts, 50.000 s", "TCP 3, UDP 2, ICMP 1", "Busiest hosts", "Health", *mixed.hosts):
        assert text in page
    assert mixed.health()._repr_html_() in page
    table = pd.Series(mixed.summary())
    assert all(f"<th>{name}</th>" in page for name in table.index)
    many = from_columns([f"10.0.0.{i}" for i in range(20)], time=range(20), src=range(20), dst=[0] * 20)
    assert many._repr_html_().count("10.0.0.") == 8


def test_no_packets() -> None:
    for empty in (from_capture([]), from_dicts([]), toolkit.load_example("obfs4")[:0]):
        assert len(empty) == 0
        assert not empty
        assert empty.hosts == ()
        assert empty.start is pd.NaT
        assert empty.stop is pd.NaT
        assert empty.duration == pd.Timedelta(0)
        assert len(empty.packets) == 0
        assert len(empty.top_hosts()) == 0
        assert empty.to_packets() == []
        assert "0 packets, 0 hosts, 0.000 s" in repr(empty)
        assert empty.summary()["protocols"] == ""
        assert empty.summary()["first packet"] == "NaT"
        assert "0 packets" in empty._repr_html_()
        assert all(finding.count == 0 or finding.of for finding in empty.health())
        for part in (
            empty[:],
            empty[[]],
            empty[np.ones(0, bool)],
            empty.select(clients="10.0.0.0/8", protocol="tcp", port=5, start="1s", stop="2s", where="ttl > 1"),
            toolkit.concat([empty, empty]),
        ):
            assert len(part) == 0
        assert empty.client_rank("10.0.0.0/8")[1] == 1


def test_client_rank(mixed: Trace) -> None:
    rank, count = mixed.client_rank(["10.0.0.2", "10.0.0.0/8"])
    assert count == 2
    assert dict(zip(mixed.hosts, rank.tolist(), strict=True)) == {
        A: 1,
        X: 2,
        B: 0,
        Y: 2,
        "2001:db8::1": 2,
        "2001:db8::2": 2,
    }
    with pytest.raises(NoClientError):
        mixed.client_rank("203.0.113.0/24")
    assert mixed.client_rank("203.0.113.0/24", missing_ok=True)[0].tolist() == [1] * 6


@given(packets(whole=True))
@quick
def test_dictionaries_there_and_back(given_packets: list[Packet]) -> None:
    trace = from_capture(given_packets)
    again = Trace.from_packets(trace.to_packets())
    assert again.hosts == trace.hosts
    for name in ("time", "src", "dst", "ip_length", "ttl", "tcp_seq", "tcp_ack", "tcp_flags"):
        assert again.column(name).tolist() == trace.column(name).tolist()
    is_tcp = trace.column("protocol") == TCP
    assert again.column("payload_length")[is_tcp].tolist() == trace.column("payload_length")[is_tcp].tolist()
