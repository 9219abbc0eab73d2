"""The first look: each part is what the function it names gives for the packets of the clients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from making import from_capture, has_client, quick
from reference import ICMP, TCP, UDP, Packet
from strategies import networks, packets

import toolkit
from toolkit import NoClientError, Overview, Trace, overview, suggest_clients

A, B, X, Y = "10.0.0.1", "10.0.0.2", "192.0.2.9", "198.51.100.7"


def assert_parts(found: Overview, clients: Any, *, bandwidth: float = 3.0) -> None:
    """Compare each part with what its function gives."""
    trace = found.trace
    theirs = trace.select(clients=clients)
    pd.testing.assert_frame_equal(found.timeline, toolkit.direction_timeline(trace, clients))
    clusters = toolkit.cluster_lengths(theirs, bandwidth=bandwidth)
    pd.testing.assert_frame_equal(found.clusters.to_frame(), clusters.to_frame())
    assert repr(found.clusters) == repr(clusters)
    entropy = toolkit.entropy_counts(theirs)
    pd.testing.assert_frame_equal(found.entropy.cells, entropy.cells)
    assert (found.entropy.total_packets, found.entropy.cut) == (entropy.total_packets, entropy.cut)
    pd.testing.assert_frame_equal(found.pairs, toolkit.client_pairs(trace, clients))
    features = toolkit.client_features(trace, clients, time_window=found.time_window, packet_window=found.packet_window)
    pd.testing.assert_frame_equal(found.features, features)


@given(packets(), networks(), st.integers(1, 5))
@settings(quick, max_examples=20)
def test_parts_are_those_of_their_functions(given_packets: list[Packet], clients: list[str], n: int) -> None:
    trace = from_capture(given_packets)
    if given_packets and not has_client(given_packets, clients):
        with pytest.raises(NoClientError):
            overview(trace, clients)
        return
    found = overview(trace, clients, bandwidth=50, time_window="1s", packet_window=n)
    assert found.trace is trace
    assert not found.guessed
    assert (found.time_window, found.packet_window, found.clusters.bandwidth) == ("1s", n, 50)
    assert list(found.clients) == clients_as_said(clients)
    assert_parts(found, clients, bandwidth=50)
    theirs = [packet for packet in given_packets if reference.client_target(packet, clients)]
    assert found.pairs[["packets_up", "packets_down"]].to_numpy().sum() == len(theirs)


def clients_as_said(clients: list[str]) -> list[str]:
    """Single hosts without their prefix length."""
    return [client.removesuffix("/128" if ":" in client else "/32") for client in clients]


def test_overview_of_some_clients_of_a_sample() -> None:
    trace = toolkit.load_example("mixed_obfs4")
    found = overview(trace, iter(["10.77.0.11", "10.77.0.12/32"]))
    assert found.clients == ("10.77.0.11", "10.77.0.12")
    assert (found.time_window, found.packet_window, found.clusters.bandwidth) == ("60s", 50, 3)
    assert_parts(found, ["10.77.0.11", "10.77.0.12"])
    assert set(found.pairs.index.get_level_values("client")) == {"10.77.0.11", "10.77.0.12"}
    assert found.trace is trace
    assert found.entropy.total_packets < toolkit.entropy_counts(trace).total_packets
    assert overview(trace, "10.77.0.0/24").clients == ("10.77.0.0/24",)


def test_clients_are_guessed_if_not_given() -> None:
    for name in ("obfs4", "https", "mixed_obfs4"):
        trace = toolkit.load_example(name)
        found = overview(trace)
        assert found.guessed
        assert found.clients == suggest_clients(trace) != ()
        assert_parts(found, found.clients)


@pytest.mark.parametrize("protocol", [UDP, ICMP])
def test_a_trace_without_tcp(protocol: int) -> None:
    given_packets = [Packet(i, A, X, protocol, 33, 40_000, 53, payload=b"hello") for i in range(60)]
    found = overview(from_capture(given_packets))
    # who sent the first packet; where no packet has ports, anybody
    assert found.clients == ((A,) if protocol == UDP else (A, X))
    assert found.guessed
    assert_parts(found, found.clients)
    assert len(found.clusters) == 0
    assert len(found.features) == 1
    assert found.timeline["packets_up"].sum() == 60
    assert found.pairs["payload_up"].tolist() == [5 * 60 if protocol == UDP else 0]


def test_nobody_opens_more_than_they_accept() -> None:
    """Two hosts that open one connection to each other: all are taken for clients."""
    found = overview(
        from_capture([Packet(0, A, B, TCP, 40, 1, 80, tcp_flags=2), Packet(1, B, A, TCP, 40, 2, 80, 0, 0, 2)])
    )
    assert suggest_clients(found.trace) == ()
    assert found.clients == (A, B)
    assert_parts(found, [A, B])


@pytest.mark.parametrize("empty", [toolkit.load_example("obfs4")[:0], from_capture([])], ids=["of a sample", "a file"])
@pytest.mark.parametrize("clients", [None, A, ["2001:db8::/32"]])
def test_a_trace_without_packets(empty: Trace, clients: Any) -> None:
    found = overview(empty, clients)
    assert found.guessed == (clients is None)
    parts = (found.timeline, found.clusters, found.entropy.cells, found.pairs, found.features)
    assert [len(part) for part in parts] == [0] * 5
    assert found.features.shape == (0, 55)


def test_one_packet_and_ipv6() -> None:
    found = overview(from_capture([Packet(7, "2001:db8::1", "2001:db8::2", TCP, 65, 1, 80, payload=b"hello")]))
    assert found.clients == ("2001:db8::1",)
    assert found.pairs.index.tolist() == [("2001:db8::1", "2001:db8::2")]
    assert found.timeline["bytes_up"].tolist() == [65]
    assert found.entropy.cells["packets"].tolist() == [1]
    assert len(found.features) == 0
    assert np.concatenate(found.clusters.lengths).tolist() == [5]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bandwidth": 0}, "`bandwidth` must be a finite number of bytes above 0, got 0"),
        ({"time_window": "0s"}, "more than 0 s, got '0s'"),
        ({"packet_window": 0}, "must be an int of 1 or more, got 0"),
        ({"clients": "somebody"}, "must be an address or a network"),
        ({"clients": []}, "must name at least one address or network, got none"),
    ],
)
def test_wrong_options(options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        overview(toolkit.load_example("obfs4"), **options)


def test_clients_that_are_not_there() -> None:
    with pytest.raises(NoClientError, match=r"no packet has a client in 192.0.2.0/24; the busiest hosts are 10.77"):
        overview(toolkit.load_example("obfs4"), "192.0.2.0/24")
