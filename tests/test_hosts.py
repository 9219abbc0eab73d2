"""Addresses, and the networks that hold them."""

from __future__ import annotations

import ipaddress
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from making import quick

from toolkit.hosts import Hosts, parse_networks

ADDRESSES = st.one_of(
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    st.sampled_from(
        [
            *("0.0.0.0", "255.255.255.255", "10.0.0.1", "::", "::1", "::a00:1", "::ffff:10.0.0.1", "::ffff:0:a00:1"),
            *("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "0:0:0:1::", "2001:db8:0:0:1::1", "2001:db8::1:0:0:1"),
        ]
    ).map(ipaddress.ip_address),
)


@st.composite
def around(draw: st.DrawFn, addresses: list[Any]) -> str:
    """Draw a network around one of the addresses."""
    address = draw(st.sampled_from(addresses))
    return str(ipaddress.ip_network((address, draw(st.integers(0, address.max_prefixlen))), strict=False))


@given(st.lists(ADDRESSES, min_size=1, max_size=8, unique=True), st.data())
@quick
def test_rank_is_the_first_network_that_holds_a_host(addresses: list[Any], data: st.DataObject) -> None:
    networks = data.draw(st.lists(around(addresses), min_size=1, max_size=5))
    hosts, numbers = Hosts.from_strings([str(address) for address in addresses])
    assert numbers.tolist() == list(range(len(addresses)))
    expected = [
        next((i for i, network in enumerate(networks) if reference.is_client(str(address), [network])), len(networks))
        for address in addresses
    ]
    assert hosts.rank(parse_networks(networks)).tolist() == expected


@given(st.lists(ADDRESSES, unique=True))
@quick
def test_names_are_those_of_the_standard_library(addresses: list[Any]) -> None:
    hosts, _ = Hosts.from_strings([str(address) for address in addresses])
    assert hosts.names == tuple(str(address) for address in addresses)
    assert hosts.family.tolist() == [address.version for address in addresses]
    assert len(hosts) == len(addresses)
    backwards = hosts.take(np.arange(len(addresses))[::-1])
    assert backwards.names == hosts.names[::-1]


def test_one_address_in_several_spellings_is_one_host() -> None:
    spelled = ["2001:DB8::1", "10.0.0.1", "2001:db8:0:0:0:0:0:1", "::a00:1", "::10.0.0.1", "2001:db8::0001"]
    hosts, numbers = Hosts.from_strings(spelled)
    assert hosts.names == ("2001:db8::1", "10.0.0.1", "::a00:1")
    assert numbers.tolist() == [0, 1, 0, 2, 2, 0]
    with pytest.raises(ValueError, match="'lab' does not appear to be an IPv4 or IPv6 address"):
        Hosts.from_strings(["10.0.0.1", "lab"])


def test_no_hosts() -> None:
    hosts, numbers = Hosts.from_strings([])
    assert hosts.names == ()
    assert len(numbers) == 0
    assert hosts.rank(parse_networks("10.0.0.0/8")).tolist() == []


def test_every_address_of_a_family() -> None:
    hosts, _ = Hosts.from_strings(["10.0.0.1", "2001:db8::1", "::a00:1"])
    assert hosts.rank(parse_networks("0.0.0.0/0")).tolist() == [0, 1, 1]
    assert hosts.rank(parse_networks("::/0")).tolist() == [1, 0, 0]
    assert hosts.rank(parse_networks(["10.0.0.1", "::/0"])).tolist() == [0, 1, 1]
    assert hosts.rank(()).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("clients", "expected"),
    [
        ("10.0.0.1", ["10.0.0.1/32"]),
        ("10.0.0.0/255.255.255.0", ["10.0.0.0/24"]),
        ("2001:db8::/32", ["2001:db8::/32"]),
        (["10.0.0.1", "10.0.0.1"], ["10.0.0.1/32", "10.0.0.1/32"]),
        (("10.0.0.0/8", "::1"), ["10.0.0.0/8", "::1/128"]),
        (ipaddress.ip_network("10.0.0.0/30"), ["10.0.0.0/30"]),  # not the four addresses in it
        (ipaddress.ip_network("2001:db8::/126"), ["2001:db8::/126"]),
        (ipaddress.ip_address("10.0.0.1"), ["10.0.0.1/32"]),
        ([ipaddress.ip_address("::1"), "10.0.0.0/8", ipaddress.ip_network("10.0.0.0/30")], None),
        (iter(["10.0.0.1"]), ["10.0.0.1/32"]),
        (np.array(["10.0.0.1"]), ["10.0.0.1/32"]),
        (np.str_("10.0.0.1"), ["10.0.0.1/32"]),
    ],
)
def test_networks_may_be_given_in_many_ways(clients: Any, expected: list[str] | None) -> None:
    found = [str(network) for network in parse_networks(clients)]
    assert found == (expected or ["::1/128", "10.0.0.0/8", "10.0.0.0/30"])


@pytest.mark.parametrize(
    "clients",
    [
        "10.0.0.1/24",
        "2001:db8::1/32",
        "10.0.0.0/33",
        "10.0.0",
        "lab",
        "",
        " ",
        5,
        10.5,
        True,
        None,
        b"10.0.0.1",
        object(),
    ],
)
def test_what_is_no_network_is_shown(clients: Any) -> None:
    for given_form in (clients, [clients], ["10.0.0.1", clients]):
        with pytest.raises(ValueError, match=r"a client must be an address or a network such as '10.0.0.0/24', got "):
            parse_networks(given_form)


def test_bits_beyond_the_prefix_are_explained() -> None:
    with pytest.raises(ValueError, match=r"got '10\.0\.0\.1/24': 10\.0\.0\.1/24 has host bits set"):
        parse_networks("10.0.0.1/24")


@pytest.mark.parametrize("clients", [[], (), {}, set(), iter([])])
def test_no_network(clients: Any) -> None:
    with pytest.raises(ValueError, match="`clients` must name at least one address or network, got none"):
        parse_networks(clients)
