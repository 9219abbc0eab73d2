"""The unique addresses of a trace, and which of them belong to a set of client networks."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Networks: TypeAlias = "str | Network | ipaddress.IPv4Address | ipaddress.IPv6Address | Iterable[object]"

_LOW = (1 << 64) - 1


class Hosts:
    """Unique IP addresses, each with a number from 0.

    Attributes
    ----------
    words
        Addresses as (n, 2) 64-bit halves; an IPv4 address is in the lower half.
    family
        4 or 6 for each.
    """

    def __init__(self, words: npt.NDArray[np.uint64], family: npt.NDArray[np.uint8]) -> None:
        self.words = words
        self.family = family

    @classmethod
    def from_strings(cls, addresses: Sequence[str]) -> tuple[Hosts, npt.NDArray[np.int32]]:
        """Parse addresses written as text, and give the number of each: one may be written in several ways."""
        numbers: dict[tuple[int, int], int] = {}
        parsed = [ipaddress.ip_address(address) for address in addresses]
        number_of = [numbers.setdefault((address.version, int(address)), len(numbers)) for address in parsed]
        words = np.array([(value >> 64, value & _LOW) for _, value in numbers], np.uint64).reshape(-1, 2)
        hosts = cls(words, np.array([version for version, _ in numbers], np.uint8))
        return hosts, np.array(number_of, np.int32)

    def __len__(self) -> int:
        return len(self.family)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The addresses as text, in the canonical form of RFC 5952."""
        big = self.words.astype(">u8").tobytes()
        names = []
        for number, family in enumerate(self.family.tolist()):
            packed = big[16 * number : 16 * number + 16]
            # the C library may write ::ffff:1.2.3.4 in another way than Python's ipaddress, which users compare to
            names.append(
                socket.inet_ntop(socket.AF_INET, packed[12:]) if family == 4 else str(ipaddress.IPv6Address(packed))
            )
        return tuple(names)

    def take(self, numbers: npt.NDArray[np.intp]) -> Hosts:
        """Give some of the hosts, renumbered in the order asked for."""
        return Hosts(self.words[numbers], self.family[numbers])

    def rank(self, networks: Sequence[Network]) -> npt.NDArray[np.int32]:
        """Give for each host the position of the first network that holds it, `len(networks)` if none does."""
        rank = np.full(len(self), len(networks), np.int32)
        alone: dict[tuple[int, int], int] = {}  # looked up, since there may be as many as there are hosts
        for position in reversed(range(len(networks))):
            network = networks[position]
            if network.prefixlen == network.max_prefixlen:
                alone[network.version, int(network.network_address)] = position
                continue
            mask, base = int(network.netmask), int(network.network_address)
            inside = self.family == network.version
            for half, shift in ((0, 64), (1, 0)):
                part = np.uint64((mask >> shift) & _LOW)
                inside &= (self.words[:, half] & part) == np.uint64((base >> shift) & _LOW)
            rank[inside] = position
        if alone:
            halves = zip(self.family.tolist(), *self.words.T.tolist(), strict=True)
            found = [alone.get((family, high << 64 | low), len(networks)) for family, high, low in halves]
            rank = np.minimum(rank, np.array(found, np.int32))
        return rank


def parse_networks(clients: Networks) -> tuple[Network, ...]:
    """Read client networks: one or several addresses or networks, as text or as objects of `ipaddress`.

    Raises
    ------
    ValueError
        If there is none, or one is not an address or a network (bits set beyond the prefix included).

    Examples
    --------
    >>> parse_networks("10.0.0.0/24")
    (IPv4Network('10.0.0.0/24'),)
    >>> parse_networks(["10.0.0.7", "2001:db8::/32"])
    (IPv4Network('10.0.0.7/32'), IPv6Network('2001:db8::/32'))
    """
    one = isinstance(clients, str) or not isinstance(clients, Iterable)
    # a network is iterable too (over its addresses)
    one = one or isinstance(clients, ipaddress.IPv4Network | ipaddress.IPv6Network)
    listed: list[object] = [clients] if one else list(clients)  # type: ignore[arg-type]
    if not listed:
        raise ValueError("`clients` must name at least one address or network, got none")
    networks: list[Network] = []
    for entry in listed:
        if isinstance(entry, bool | int | bytes):
            raise ValueError(f"a client must be an address or a network such as '10.0.0.0/24', got {entry!r}")
        try:
            networks.append(ipaddress.ip_network(entry))  # type: ignore[arg-type]
        except ValueError as error:
            raise ValueError(
                f"a client must be an address or a network such as '10.0.0.0/24', got {entry!r}: {error}"
            ) from None
    return tuple(networks)
