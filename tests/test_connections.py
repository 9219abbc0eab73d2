"""Connections: against the reference, what starts one, who its client is, and the sizes it begins with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import dpkt
import numpy as np
import pandas as pd
import pytest
import reference_connections as reference
from hypothesis import example as with_example
from hypothesis import given
from hypothesis import strategies as st
from making import from_capture, from_columns, has_client, quick
from reference import ACK, FIN, ICMP, PSH, RST, SYN, TCP, UDP, Packet
from strategies import networks, packets

import toolkit
from toolkit import NoClientError, example, examples, load_example
from toolkit.connections import Connections, connections, size_sequence, suggest_clients
from toolkit.trace import Trace

A, B, X, Y = "10.0.0.1", "10.0.0.2", "192.0.2.9", "2001:db8::9"
HOSTS = [A, X, Y, "2001:db8::1"]
SAMPLES = examples().index.tolist()


def tcp(flags: int = ACK, size: int = 0, *, seq: int = 0, back: bool = False, time_ns: int = 0, **other: Any) -> Packet:
    """From A port 1000 to X port 443, or back."""
    ends: dict[str, Any] = {"src": A, "dst": X, "src_port": 1000, "dst_port": 443} | other
    if back:
        ends = ends | {"src": ends["dst"], "dst": ends["src"]}
        ends = ends | {"src_port": ends["dst_port"], "dst_port": ends["src_port"]}
    return Packet(time_ns, protocol=TCP, ip_length=40 + size, tcp_flags=flags, tcp_seq=seq, payload_length=size, **ends)


def udp(size: int = 1, **other: Any) -> Packet:
    return replace(tcp(size=size, **other), protocol=UDP, tcp_flags=0)


def made(given_packets: Sequence[Packet]) -> Trace:
    """Make a trace of packets that no capture file need hold (`from_capture` is the way through one)."""
    hosts = list(dict.fromkeys(host for packet in given_packets for host in (packet.src, packet.dst)))
    columns = {
        "time": [packet.time_ns for packet in given_packets],
        "src": [hosts.index(packet.src) for packet in given_packets],
        "dst": [hosts.index(packet.dst) for packet in given_packets],
    }
    for name in ("protocol", "src_port", "dst_port", "tcp_seq", "tcp_flags", "payload_length"):
        columns[name] = [getattr(packet, name) for packet in given_packets]
    return from_columns(hosts, **columns)


def numbers(*given_packets: Packet) -> list[int]:
    return connections(made(given_packets)).number.tolist()


def ends(found: Connections) -> list[tuple[str, int, str, int]]:
    hosts = found.trace.hosts
    numbered = (found.client, found.client_port, found.target, found.target_port)
    rows = zip(*(values.tolist() for values in numbered), strict=True)
    return [(hosts[client], port, hosts[target], target_port) for client, port, target, target_port in rows]


@st.composite
def few_ends(draw: st.DrawFn) -> list[Packet]:
    """Packets of so few ends, flags and sequence numbers that ports are used again and SYNs repeated; any order."""
    ports = st.sampled_from([0, 7, 7, 443])
    packet = st.builds(
        Packet,
        time_ns=st.integers(0, 60),
        src=st.sampled_from(HOSTS[: draw(st.integers(1, 4))]),
        dst=st.sampled_from(HOSTS[: draw(st.integers(1, 4))]),
        protocol=st.sampled_from([TCP] * 6 + [UDP, ICMP]),
        ip_length=st.just(40),
        src_port=ports,
        dst_port=ports,
        tcp_seq=st.sampled_from([0, 1, 2**32 - 1]),
        tcp_flags=st.sampled_from([SYN, SYN, SYN | ACK, ACK, ACK, ACK | PSH, FIN | ACK, RST, SYN | RST, 0x1C2, 255]),
        payload_length=st.sampled_from([0, 0, 1, 1_448, 65_000]),
    )
    found = draw(st.lists(packet, max_size=60) | st.lists(packet, min_size=30, max_size=60))
    return sorted(found, key=lambda packet: packet.time_ns) if draw(st.booleans()) else found


traces = st.one_of(few_ends().map(lambda p: (p, made(p))), packets().map(lambda p: (p, from_capture(p))))


# Against the reference


@given(traces)
@quick
def test_connections_are_those_of_the_reference(drawn: tuple[list[Packet], Trace]) -> None:
    given_packets, trace = drawn
    expected = reference.connections(given_packets)
    found = connections(trace)
    number = [-1] * len(given_packets)
    for k, connection in enumerate(expected):
        for row in connection.rows:
            number[row] = k
    assert found.number.tolist() == number
    assert ends(found) == [(*connection.client, *connection.target) for connection in expected]
    assert found.protocol.tolist() == [connection.protocol for connection in expected]
    assert found.has_syn.tolist() == [connection.has_syn for connection in expected]
    assert suggest_clients(trace) == reference.suggest_clients(given_packets, trace.hosts)


@given(traces)
@quick
def test_the_frame_is_that_of_the_reference(drawn: tuple[list[Packet], Trace]) -> None:
    given_packets, trace = drawn
    frame = connections(trace).to_frame()
    expected = reference.connections(given_packets)
    assert frame.index.equals(pd.RangeIndex(len(expected)))
    assert frame.index.name == "connection"
    for connection, row in zip(expected, frame.itertuples(index=False), strict=True):
        mine = [given_packets[k] for k in connection.rows]
        up = [packet for packet in mine if (packet.src, packet.src_port) == connection.client]
        down = [packet for packet in mine if (packet.src, packet.src_port) != connection.client]
        assert (row.client, row.client_port, row.target, row.target_port) == (*connection.client, *connection.target)
        assert row.protocol == {TCP: "tcp", UDP: "udp"}[connection.protocol]
        assert (row.packets_up, row.packets_down) == (len(up), len(down))
        assert row.payload_up == sum(packet.payload_length for packet in up)
        assert row.payload_down == sum(packet.payload_length for packet in down)
        assert row.start.value == min(packet.time_ns for packet in mine)
        assert row.stop.value == max(packet.time_ns for packet in mine)


@given(traces, st.none() | networks(), st.integers(1, 12), st.sampled_from(["tcp", "udp"]))
@quick
def test_size_sequence_is_that_of_the_reference(
    drawn: tuple[list[Packet], Trace], clients: list[str] | None, n: int, protocol: Any
) -> None:
    given_packets, trace = drawn
    if given_packets and clients is not None and not has_client(given_packets, clients):
        with pytest.raises(NoClientError):
            size_sequence(trace, clients, n=n, protocol=protocol)
        return
    table = size_sequence(trace, clients, n=n, protocol=protocol)
    expected = reference.size_sequence(given_packets, clients, n, {"tcp": TCP, "udp": UDP}[protocol])
    assert list(zip(table.index.tolist(), table.to_numpy().tolist(), strict=True)) == expected
    assert table.columns.tolist() == list(range(1, n + 1))


@with_example(given_packets=[])
@given(few_ends())
@quick
def test_types_are_the_same_for_any_trace(given_packets: list[Packet]) -> None:
    found = connections(made(given_packets) if given_packets else load_example("obfs4")[:0])
    kinds = {"number": "int32", "client": "int32", "target": "int32", "client_port": "uint16"}
    kinds |= {"target_port": "uint16", "protocol": "uint8", "has_syn": "bool"}
    assert {name: str(getattr(found, name).dtype) for name in kinds} == kinds
    time_kind = "datetime64[ns, UTC]"
    assert found.to_frame().dtypes.astype(str).to_dict() == {
        **{"client": "object", "client_port": "uint16", "target": "object", "target_port": "uint16"},
        **{"protocol": "object", "packets_up": "int64", "packets_down": "int64"},
        **{"payload_up": "int64", "payload_down": "int64", "start": time_kind, "stop": time_kind},
    }
    table = size_sequence(found.trace, n=3)
    assert (table.dtypes == np.int32).all()
    assert table.columns.names == ["packet"]
    index = {"client": "object", "client_port": "uint16", "target": "object", "target_port": "uint16"}
    assert table.index.to_frame().dtypes.astype(str).to_dict() == index


# What starts a connection


@pytest.mark.parametrize("used", [tcp(ACK, 5), tcp(ACK, 5, back=True), tcp(FIN | ACK), tcp(RST, back=True)])
def test_a_port_used_again_is_another_connection(used: Packet) -> None:
    assert numbers(tcp(SYN, seq=1), used, tcp(SYN, seq=9), tcp(ACK)) == [0, 0, 1, 1]
    assert numbers(used, tcp(SYN, seq=9)) == [0, 1]  # the first began before the capture


def test_a_port_used_again_and_again() -> None:
    again = [packet for seq in range(50) for packet in (tcp(SYN, seq=seq), tcp(ACK, 1), tcp(FIN | ACK, back=True))]
    assert numbers(*again) == [k // 3 for k in range(150)]
    # what was seen of the connection before says nothing about this one
    assert numbers(tcp(SYN, seq=1), tcp(RST), tcp(SYN, seq=2), tcp(SYN, seq=3)) == [0, 0, 1, 1]


def test_a_syn_sent_again_is_not_another_connection() -> None:
    assert numbers(tcp(SYN, seq=1), tcp(ACK, 5), tcp(SYN, seq=1)) == [0, 0, 0]
    assert numbers(tcp(SYN, seq=1), tcp(SYN, seq=2), tcp(ACK)) == [0, 0, 0]  # nothing was sent in between
    # the sequence number is that of the sender: the other end may happen to have the same
    assert numbers(tcp(SYN, seq=1), tcp(ACK, 5), tcp(SYN, seq=1, back=True)) == [0, 0, 1]
    # the number 0 is a number
    assert numbers(tcp(ACK, 5), tcp(SYN, seq=0)) == [0, 1]


def test_a_syn_with_ack_never_starts_another_connection() -> None:
    assert numbers(tcp(SYN, seq=1), tcp(ACK, 5), tcp(SYN | ACK, seq=7, back=True)) == [0, 0, 0]


def test_a_syn_with_data_is_data() -> None:
    assert numbers(tcp(SYN, 10, seq=1), tcp(SYN, 10, seq=1), tcp(SYN, 10, seq=2)) == [0, 0, 1]


def test_udp_and_tcp_of_the_same_ports_are_two() -> None:
    assert numbers(tcp(ACK), udp(), tcp(ACK, back=True), udp(back=True)) == [0, 1, 0, 1]
    # what would be flags of TCP means nothing
    found = connections(made([udp(), replace(udp(), tcp_flags=SYN, tcp_seq=5)]))
    assert (found.number.tolist(), found.has_syn.tolist()) == ([0, 0], [False])


def test_what_has_no_ports_is_in_none() -> None:
    found = connections(made([tcp(src_port=0, dst_port=0), replace(udp(), protocol=ICMP), udp(src_port=0), udp()]))
    assert found.number.tolist() == [-1, -1, 0, 1]
    assert repr(found) == "<Connections: 2 connections, 0 with their SYN, 2 of 4 packets in none>"
    assert len(found) == 2


def test_packets_are_taken_in_order_of_time() -> None:
    found = connections(
        made([tcp(ACK, 5, time_ns=7), udp(time_ns=5), tcp(SYN, time_ns=3), tcp(SYN | ACK, back=True, time_ns=4)])
    )
    assert found.number.tolist() == [0, 1, 0, 0]
    assert found.has_syn.tolist() == [True, False]
    table = size_sequence(made([tcp(ACK, 5, seq=2, time_ns=7), tcp(ACK, 6, seq=1, time_ns=5)]), n=3)
    assert table.to_numpy().tolist() == [[6, 5, 0]]
    # at equal times, in order of the file
    table = size_sequence(made([udp(1, time_ns=9), udp(5), udp(6), udp(4)]), n=4, protocol="udp")
    assert table.to_numpy().tolist() == [[5, 6, 4, 1]]


@pytest.mark.parametrize("step", [1, -1])
def test_many_connections(step: int) -> None:
    """Enough that the table of them grows, more than once; an answer to each, after all of them."""
    n = 20_000
    port, which = np.arange(1, n + 1), np.arange(2 * n)
    there, back = np.repeat([0, 1], n), np.repeat([1, 0], n)
    ports = {"src_port": np.append(port, np.full(n, 443)), "dst_port": np.append(np.full(n, 443), port)}
    trace = from_columns([A, X], time=which, src=there, dst=back, protocol=TCP, **ports)[::step]
    found = connections(trace)
    assert found.number[::step].tolist() == (which % n).tolist()
    assert found.client_port.tolist() == port.tolist()
    frame = found.to_frame()
    assert (frame[["packets_up", "packets_down"]] == 1).all(axis=None)
    assert frame["start"].tolist() == [pd.Timestamp(k, tz="UTC") for k in range(n)]


# Who the client is


@pytest.mark.parametrize(
    ("given_packets", "port", "has_syn"),
    [
        ([tcp(SYN)], 1000, True),
        ([tcp(ACK, back=True), tcp(SYN)], 1000, True),
        ([tcp(SYN | ACK), tcp(SYN)], 1000, True),  # against a SYN, a SYN+ACK says nothing
        ([tcp(SYN), tcp(SYN | ACK)], 1000, True),
        ([tcp(SYN), tcp(SYN, back=True)], 1000, True),  # both open at once: the first
        ([tcp(SYN | ACK, back=True)], 1000, False),
        ([tcp(ACK, back=True), tcp(SYN | ACK, back=True), tcp(SYN | ACK)], 1000, False),
        ([tcp(ACK)], 1000, False),
        ([tcp(ACK, back=True), tcp(ACK, 5)], 443, False),
        ([tcp(FIN, back=True)], 443, False),
        ([udp(), udp(back=True)], 1000, False),
        ([udp(back=True), udp()], 443, False),
    ],
)
@pytest.mark.parametrize("high", [False, True])  # which of the hosts has the greater number
def test_the_client(given_packets: list[Packet], port: int, has_syn: bool, high: bool) -> None:
    first = udp(src_port=9, dst_port=9, back=high)  # names the hosts in one order or the other
    found = connections(made([first, *given_packets]))
    client, target = (A, X) if port == 1000 else (X, A)
    assert ends(found)[1:] == [(client, port, target, 1443 - port)]
    assert found.has_syn.tolist() == [False, has_syn]


@pytest.mark.parametrize("flags", [SYN, SYN | ACK, ACK])
def test_a_port_that_talks_to_itself(flags: int) -> None:
    trace = made([tcp(flags, 5, seq=seq, dst=A, dst_port=1000) for seq in (1, 2)])
    found = connections(trace)
    again = int(flags == SYN)
    assert found.number.tolist() == [0, again]
    assert ends(found) == [(A, 1000, A, 1000)] * (1 + again)
    frame = found.to_frame()
    assert (frame["packets_up"].sum(), frame["payload_up"].sum()) == (2, 10)
    assert (frame["packets_down"].sum(), frame["payload_down"].sum()) == (0, 0)
    assert suggest_clients(trace) == ()
    assert size_sequence(trace, A, n=2).to_numpy().sum() == 10


def test_a_host_that_talks_to_another_port_of_itself() -> None:
    trace = made([tcp(SYN, dst=A), tcp(SYN | ACK, dst=A, back=True), tcp(ACK, 5, dst=A), tcp(ACK, 6, dst=A, back=True)])
    frame = connections(trace).to_frame()
    assert frame[["client_port", "packets_up", "packets_down", "payload_up", "payload_down"]].to_numpy().tolist() == [
        [1000, 2, 2, 5, 6]
    ]
    assert size_sequence(trace, n=3).to_numpy().tolist() == [[5, -6, 0]]
    assert suggest_clients(trace) == ()


def test_ipv4_and_ipv6_are_not_mixed_up() -> None:
    six = {"src": "a00:1::", "dst": Y}  # the bytes of 10.0.0.1 in front
    found = connections(made([tcp(SYN), tcp(SYN, **six), tcp(back=True), tcp(back=True, **six)]))
    assert found.number.tolist() == [0, 1, 0, 1]
    assert ends(found) == [(A, 1000, X, 443), ("a00:1::", 1000, Y, 443)]


def test_nothing_and_one_packet() -> None:
    empty = load_example("obfs4")[:0]
    found = connections(empty)
    assert (len(found), len(found.number), len(found.to_frame())) == (0, 0, 0)
    assert repr(found) == "<Connections: 0 connections, 0 with their SYN, 0 of 0 packets in none>"
    assert suggest_clients(empty) == ()
    assert size_sequence(empty).shape == (0, 20)
    assert size_sequence(empty, "10.0.0.0/8", n=1, protocol="udp").shape == (0, 1)
    one = made([tcp(SYN, time_ns=5)])
    assert suggest_clients(one) == (A,)
    assert size_sequence(one).shape == (0, 20)  # a connection, but no data
    frame = connections(one).to_frame()
    assert frame["start"].tolist() == frame["stop"].tolist() == [pd.Timestamp(5, tz="UTC")]


# The clients it suggests


def opened(src: str, times: int, dst: str = X, flags: int = SYN) -> list[Packet]:
    return [tcp(flags, src=src, dst=dst, src_port=2_000 + k) for k in range(times)]


def test_suggest_clients() -> None:
    assert suggest_clients(made(opened(A, 2) + opened(B, 3))) == (B, A)  # most first
    assert suggest_clients(made(opened(B, 2) + opened(A, 2))) == (B, A)  # else by order of hosts
    # what accepts as many as it opens is none
    assert suggest_clients(made(opened(A, 2) + opened(X, 2, Y))) == (A,)
    assert suggest_clients(made(opened(A, 2) + opened(X, 3, Y))) == (X, A)
    # a connection whose SYN is not there may be seen from the wrong side
    assert suggest_clients(made(opened(A, 1) + opened(X, 9, B, ACK))) == (A,)
    assert suggest_clients(made([*opened(A, 1), udp(src=B, dst=X)])) == (A, B)  # UDP has no SYN to wait for
    assert suggest_clients(made([*opened(X, 9, B, ACK), udp(src=B, dst=A)])) == (X,)
    # a thousand connections to itself are no connection
    assert suggest_clients(made(opened(A, 1_000, A) + opened(A, 1) + opened(B, 2))) == (B, A)


@pytest.mark.parametrize("name", SAMPLES)
def test_samples(name: str) -> None:
    trace, known = load_example(name), example(name)
    found = connections(trace)
    assert len(found) == known.connections
    assert found.has_syn.all()
    assert (found.number >= 0).all()
    assert sorted(suggest_clients(trace)) == sorted(known.clients)
    # each connection is opened by a client
    assert set(found.to_frame()["client"]) == set(known.clients)
    # without their SYNs the first packet is a SYN+ACK, which says the same
    rest = trace.select(where=lambda frame: frame["tcp_flags"] & (SYN | ACK) != SYN)
    assert not connections(rest).has_syn.any()
    assert sorted(suggest_clients(rest)) == sorted(known.clients)


# Sizes


def test_size_sequence_of_the_first_data_packets() -> None:
    trace = made(
        [
            *(tcp(SYN, seq=1), tcp(SYN | ACK, seq=5, back=True), tcp(ACK, 0, seq=2)),
            *(tcp(ACK, 10, seq=2), tcp(ACK, 20, seq=6, back=True), tcp(ACK, 10, seq=2), tcp(ACK, 30, seq=12)),
            *(tcp(ACK, 7, seq=6), tcp(ACK, 40, seq=26, back=True), tcp(ACK, 50, seq=42)),
            *(tcp(SYN, seq=99), tcp(ACK, 1, seq=12)),
        ]
    )
    table = size_sequence(trace, n=5)
    assert table.index.tolist() == [(A, 1000, X, 443)] * 2  # the port was used again
    assert table.to_numpy().tolist() == [[10, -20, 30, 7, -40], [1, 0, 0, 0, 0]]
    assert table.index.names == ["client", "client_port", "target", "target_port"]
    # seen from the other end
    turned = size_sequence(trace, X, n=2)
    assert turned.index.tolist() == [(X, 443, A, 1000)] * 2
    assert turned.to_numpy().tolist() == [[-10, 20], [-1, 0]]
    # a client at each end: who opened
    pd.testing.assert_frame_equal(size_sequence(trace, [X, A], n=5), table)
    pd.testing.assert_frame_equal(size_sequence(trace, n=np.int64(5)), table)  # type: ignore[arg-type]
    wide = size_sequence(trace, n=1_000)
    assert wide.shape == (2, 1_000)
    assert wide.iloc[0, :6].tolist() == [10, -20, 30, 7, -40, 50]


def test_size_sequence_of_clients_only() -> None:
    trace = made([tcp(ACK, 5), tcp(ACK, 6, src=B), tcp(ACK, 7, src=X, dst=B)])
    assert size_sequence(trace, "10.0.0.1", n=1).to_numpy().tolist() == [[5]]
    assert size_sequence(trace, B, n=1).to_numpy().tolist() == [[6], [-7]]
    assert size_sequence(trace, n=1).to_numpy().tolist() == [[5], [6], [7]]


def test_size_sequence_is_in_order_of_the_first_packet() -> None:
    trace = made([tcp(SYN), tcp(ACK, 2, src=B), tcp(ACK, 4, src_port=0, dst_port=0), tcp(ACK, 1)])
    assert size_sequence(trace, n=1).to_numpy().tolist() == [[1], [2]]  # without ports: of no connection


def test_datagrams_are_never_sent_again() -> None:
    trace = made([udp(5), udp(5), udp(0), udp(9, back=True), tcp(ACK, 3)])
    assert size_sequence(trace, n=4, protocol="udp").to_numpy().tolist() == [[5, 5, -9, 0]]
    assert size_sequence(trace, n=1).to_numpy().tolist() == [[3]]


def test_data_packets_of_a_sample_are_those_that_dpkt_counts() -> None:
    counts: Counter[tuple[str, int]] = Counter()
    seen = set()
    with example("obfs4").path.open("rb") as file:
        for _, data in dpkt.pcap.Reader(file):
            ip = dpkt.ethernet.Ethernet(data).data
            segment = ip.data
            way = ip.src, segment.sport, ip.dst, segment.dport
            size = ip.len - 4 * ip.hl - 4 * segment.off
            if size and (way, segment.seq) not in seen:
                seen.add((way, segment.seq))
                up = ip.src.startswith(bytes([10, 77, 0]))
                client = (ip.src, segment.sport) if up else (ip.dst, segment.dport)
                counts[".".join(map(str, client[0])), client[1]] += 1
    assert len(counts) == 23  # no port was used again
    table = size_sequence(load_example("obfs4"), "10.77.0.0/24", n=1_000)
    found = (table != 0).sum(axis="columns")
    assert {key[:2]: value for key, value in found.items()} == counts  # type: ignore[index]


@pytest.mark.parametrize("n", [0, -1, 1_001, True, 2.0, "3", None])
def test_wrong_n(n: Any) -> None:
    with pytest.raises(ValueError, match=rf"^`n` must be an int from 1 to 1,000, got {n!r}$"):
        size_sequence(load_example("obfs4"), n=n)


@pytest.mark.parametrize("protocol", ["icmp", "TCP", 6, None])
def test_wrong_protocol(protocol: Any) -> None:
    with pytest.raises(ValueError, match=rf"^`protocol` must be one of 'tcp', 'udp', got {protocol!r}$"):
        size_sequence(load_example("obfs4"), protocol=protocol)


def test_wrong_clients() -> None:
    with pytest.raises(NoClientError, match=r"^no packet has a client in 10\.99\.0\.0/16; the busiest hosts are 10\."):
        size_sequence(load_example("obfs4"), "10.99.0.0/16")
    with pytest.raises(ValueError, match=r"must be an address or a network such as '10\.0\.0\.0/24', got 'here'"):
        size_sequence(load_example("obfs4"), "here")


def test_public_names() -> None:
    assert toolkit.connections is connections
    assert toolkit.size_sequence is size_sequence
    assert toolkit.suggest_clients is suggest_clients
