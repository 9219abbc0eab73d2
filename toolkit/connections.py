"""Which packets belong to one connection, who opened it, and the sizes its first packets have."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit._jit import Int, kernel, salt
from toolkit.columns import Columns
from toolkit.hosts import Networks
from toolkit.trace import Trace
from toolkit.windows import time_order

Index: TypeAlias = npt.NDArray[np.int32]
Ports: TypeAlias = npt.NDArray[np.uint16]
Bits: TypeAlias = npt.NDArray[np.uint8]
Flags: TypeAlias = npt.NDArray[np.bool_]

_NUMBERS = {"tcp": 6, "udp": 17}
_NO_ORDER = np.empty(0, np.int32)

# What is known of a connection while it is followed. An end is "high" if its number (host, port) is above the other's.
_FIRST_HIGH = 1  # the high end sent the first packet
_CLIENT_HIGH = 2
_SYN_LOW = 4  # a SYN without ACK came from the low end; from the high end it is twice that
_SYN = 12
_ANSWERED = 16  # a SYN with ACK came
_USED = 32  # data, FIN or RST came: another SYN is of another connection


@dataclass(frozen=True, eq=False)
class Connections:
    """The TCP and UDP connections of a trace, in order of their first packet (in time).

    Attributes
    ----------
    trace
        What they are of.
    number
        The connection of each row of the trace, -1 for none. Shape (packets,), int32.
    client, target, client_port, target_port
        Host numbers (int32) and ports (uint16) of who opened it and of the other end. Shape (connections,).
    protocol
        6 (TCP) or 17 (UDP), uint8.
    has_syn
        Whether the opening was seen, a SYN without ACK. Elsewhere who the client is may be a guess.
    """

    trace: Trace
    number: Index
    client: Index
    target: Index
    client_port: Ports
    target_port: Ports
    protocol: Bits
    has_syn: Flags

    def __len__(self) -> int:
        return len(self.client)

    def __repr__(self) -> str:
        size, with_syn, none = len(self), int(self.has_syn.sum()), int((self.number < 0).sum())
        packets = f"{none:,} of {len(self.trace):,} packets in none"
        return f"<Connections: {size:,} connections, {with_syn:,} with their SYN, {packets}>"

    def _up(self, rows: npt.NDArray[np.intp]) -> Flags:
        """Whether these rows, each of a connection, are from its client."""
        columns, mine = self.trace.columns, self.number[rows]
        up: Flags = (columns.src[rows] == self.client[mine]) & (columns.src_port[rows] == self.client_port[mine])
        return up

    def _ends(self) -> pd.DataFrame:
        hosts = pd.Index(self.trace.hosts, dtype=object)
        client, target = hosts.take(self.client), hosts.take(self.target)
        ends = {"client": client, "client_port": self.client_port, "target": target, "target_port": self.target_port}
        return pd.DataFrame(ends, index=pd.RangeIndex(len(self), name="connection"))

    def to_frame(self) -> pd.DataFrame:
        """One row a connection, with what it carried.

        Returns
        -------
        DataFrame
            Index ``connection``; `client`, `client_port`, `target`, `target_port`, `protocol` (``"tcp"`` or ``"udp"``),
            `packets_up`, `packets_down`, `payload_up`, `payload_down` (bytes on the wire, with those sent again),
            `start`, `stop` (earliest and latest packet). Up is from the client; what a port sends to itself is all up.

        Examples
        --------
        >>> import toolkit
        >>> frame = connections(toolkit.load_example("obfs4")).to_frame()
        >>> frame[["client", "target", "target_port", "packets_up", "payload_up"]].head(2)
                        client     target  target_port  packets_up  payload_up
        connection
        0           10.77.0.13  10.77.1.3        25154          29       11899
        1           10.77.0.11  10.77.1.1        21260          38       15082
        """
        columns, size = self.trace.columns, len(self)
        rows = _in_time(self.trace, self.number >= 0)
        mine, time, payload = self.number[rows], columns.time[rows], columns.payload_length[rows]
        start, stop = np.empty((2, size), np.int64)
        stop[mine], start[mine[::-1]] = time, time[::-1]  # of several, the last assignment stays
        up = self._up(rows)
        packets = [np.bincount(mine[way], minlength=size) for way in (up, ~up)]
        # sums of floats: exact up to 2^53 bytes
        carried = [np.bincount(mine[way], payload[way], size).astype(np.int64) for way in (up, ~up)]
        return self._ends().assign(
            protocol=pd.Index(["tcp", "udp"], dtype=object).take(self.protocol == 17),
            packets_up=packets[0],
            packets_down=packets[1],
            payload_up=carried[0],
            payload_down=carried[1],
            start=pd.DatetimeIndex(start, dtype="datetime64[ns, UTC]"),
            stop=pd.DatetimeIndex(stop, dtype="datetime64[ns, UTC]"),
        )


def connections(trace: Trace) -> Connections:
    """Find the TCP and UDP connections of a trace.

    A connection is a protocol and two ends (address and port), both directions. Packets are taken in order of time
    (stable). A TCP SYN without ACK that comes after data, a FIN or a RST starts a new connection between the same ends
    (the port was used again), unless it repeats the sequence number of the SYN that its sender sent before: then it
    was sent again. UDP has no such mark: between the same ends there is one connection, whatever the time between.

    The client is who sent the first SYN without ACK; else who received the first SYN with ACK; else (UDP, or the
    capture began later) who sent the first packet.

    Parameters
    ----------
    trace
        Packets in any order. Those of other protocols and those without ports (later fragments and cut headers: both
        are 0) are of no connection.

    Returns
    -------
    Connections
        The number of the connection of each packet, and the ends of each connection.

    Examples
    --------
    >>> import toolkit
    >>> trace = toolkit.load_example("obfs4")
    >>> found = connections(trace)
    >>> found
    <Connections: 23 connections, 23 with their SYN, 0 of 1,425 packets in none>
    >>> trace[found.number == 0]
    <Trace obfs4.pcap: 63 packets, 2 hosts, 0.775 s>
    """
    columns, order = trace.columns, time_order(trace)
    number, first, state = _follow(columns, _NO_ORDER if order is None else order, salt())
    swapped = (state & _CLIENT_HIGH > 0) != (state & _FIRST_HIGH > 0)
    ends = _swap(swapped, columns.src[first], columns.dst[first])
    ports = _swap(swapped, columns.src_port[first], columns.dst_port[first])
    return Connections(trace, number, *ends, *ports, columns.protocol[first], state & _SYN > 0)


def suggest_clients(trace: Trace) -> tuple[str, ...]:
    """Guess who the clients are: the hosts that open more connections than they accept.

    This is a guess for a first look: a proxy's server that opens connections onward is a client by it. Name the
    clients yourself for anything that is to be reported.

    Parameters
    ----------
    trace
        Packets in any order; see `connections` for who opened what. If any TCP connection has its SYN in the trace,
        those that have none do not count: who opened them is uncertain. What a host opens to itself never counts.

    Returns
    -------
    tuple of str
        Addresses, who opened most connections first, then in the order of `Trace.hosts`.

    Examples
    --------
    >>> import toolkit
    >>> suggest_clients(toolkit.load_example("mixed_obfs4"))
    ('10.77.0.14', '10.77.0.13', '10.77.0.12', '10.77.0.11')
    """
    found = connections(trace)
    counted = (found.has_syn | ~found.has_syn.any() | (found.protocol != 6)) & (found.client != found.target)
    opened = np.bincount(found.client[counted], minlength=trace.host_count)
    accepted = np.bincount(found.target[counted], minlength=trace.host_count)
    hosts = np.flatnonzero(opened > accepted)
    return tuple(trace.hosts[host] for host in hosts[np.argsort(-opened[hosts], kind="stable")].tolist())


def size_sequence(
    trace: Trace, clients: Networks | None = None, *, n: int = 20, protocol: Literal["tcp", "udp"] = "tcp"
) -> pd.DataFrame:
    """Give the signed payload lengths of the first data packets of each connection.

    TCP segments whose sequence number was seen before with data in the same connection and direction (sent again) are
    left out, as from the interval features. Packets without payload are no data packets.

    Parameters
    ----------
    trace
        Packets in any order; taken in order of time (stable). Of a connection that began before the capture, the first
        packets are not there: see `Connections.has_syn`.
    clients
        Addresses or networks: only connections with an end in one of them are kept, and that end is the client; if
        both are, or without `clients`, who opened the connection is.
    n
        Data packets of a connection, 1 to 1,000.
    protocol
        ``"tcp"`` or ``"udp"``.

    Returns
    -------
    DataFrame of shape (connections, n)
        Bytes on the wire, int32: positive from the client, negative to it, 0 where the connection has fewer packets.
        Columns ``packet``, from 1; index (client, client_port, target, target_port), in order of first packet. Ports
        that were used again are there again; connections without data are not.

    Raises
    ------
    NoClientError
        If no client network holds a host of the trace.
    ValueError
        "`n` must be an int from 1 to 1,000, got 0", "`protocol` must be one of 'tcp', 'udp', got 'icmp'".

    Examples
    --------
    >>> import toolkit
    >>> size_sequence(toolkit.load_example("obfs4"), "10.77.0.12", n=4).head(2)
    packet                                           1     2     3     4
    client     client_port target    target_port
    10.77.0.12 53434       10.77.1.2 22364        1448  1448  1448  1448
               57868       10.77.1.2 22364        1448  1448  1448  1448
    """
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or not 1 <= n <= 1_000:
        raise ValueError(f"`n` must be an int from 1 to 1,000, got {n!r}")
    if protocol not in _NUMBERS:
        raise ValueError(f"`protocol` must be one of {', '.join(map(repr, _NUMBERS))}, got {protocol!r}")
    found, columns = connections(trace), trace.columns
    data = (columns.protocol == _NUMBERS[protocol]) & (columns.payload_length > 0) & (found.number >= 0)
    if clients is not None:
        rank, networks = trace.client_rank(clients)
        inside = rank < networks
        swapped = inside[found.target] & ~inside[found.client]
        one, other = _swap(swapped, found.client, found.target)
        port, other_port = _swap(swapped, found.client_port, found.target_port)
        found = replace(found, client=one, target=other, client_port=port, target_port=other_port)
        data[data] = inside[one[found.number[data]]]
    rows = _in_time(trace, data)
    mine, up = found.number[rows], found._up(rows)
    if protocol == "tcp":
        way = 2 * mine.astype(np.uint64) + up
        sent_again = pd.Index(way << np.uint64(32) | columns.tcp_seq[rows]).duplicated()
        rows, mine, up = rows[~sent_again], mine[~sent_again], up[~sent_again]
    place, kept = pd.factorize(mine, sort=True)
    packet = pd.Series(mine).groupby(mine, sort=False).cumcount().to_numpy()
    first = packet < n
    length = np.where(up, 1, -1) * columns.payload_length[rows]
    sizes = np.zeros((len(kept), int(n)), np.int32)
    sizes[place[first], packet[first]] = length[first]
    index = pd.MultiIndex.from_frame(found._ends().iloc[kept])
    return pd.DataFrame(sizes, index=index, columns=pd.RangeIndex(1, int(n) + 1, name="packet"))


def _in_time(trace: Trace, keep: Flags) -> npt.NDArray[np.intp]:
    """Rows to keep, in order of time."""
    order = time_order(trace)
    return np.flatnonzero(keep) if order is None else order[keep[order]].astype(np.intp)


def _swap(swapped: Flags, one: npt.NDArray[Any], other: npt.NDArray[Any]) -> tuple[Any, Any]:
    return np.where(swapped, other, one), np.where(swapped, one, other)


@kernel
def _slot(low: np.uint64, high: np.uint64, keys: npt.NDArray[np.uint64], held: Index) -> np.uint64:
    """Find where these ends are in the table, or the free place where they would be."""
    mixed = (low * np.uint64(0x9E3779B97F4A7C15) ^ high) * np.uint64(0xD6E8FEB86659FD93)
    mask = np.uint64(len(held) - 1)
    slot = (mixed ^ (mixed >> np.uint64(32))) & mask
    while held[slot] >= 0 and (keys[slot, 0] != low or keys[slot, 1] != high):
        slot = (slot + np.uint64(1)) & mask
    return slot


@kernel
def _follow(columns: Columns, order: Index, salted: np.uint64) -> tuple[Index, Index, Bits]:
    """Give the connection of each row (-1: none), and the row of the first packet and the state of each connection."""
    n = len(columns.time)
    number = np.empty(n, np.int32)
    # room for as many connections as packets: memory that is not written to costs nothing
    first = np.empty(n, np.int32)
    state = np.empty(n, np.uint8)
    syn = np.empty((n, 2), np.uint32)  # sequence number of the last SYN of each end
    size = 1024
    keys = np.empty((size, 2), np.uint64)  # the low end (with the protocol) and the high end
    held = np.full(size, -1, np.int32)  # the latest connection between them
    entered = count = 0
    for i in range(n):
        row = np.uint64(order[i]) if len(order) else np.uint64(i)
        protocol = columns.protocol[row]
        src_port, dst_port = np.uint64(columns.src_port[row]), np.uint64(columns.dst_port[row])
        if (protocol != 6 and protocol != 17) or (src_port | dst_port) == 0:
            number[row] = -1
            continue
        if 2 * entered > size:  # grow: enter all again
            old_keys, old_held = keys, held
            size *= 4
            keys = np.empty((size, 2), np.uint64)
            held = np.full(size, -1, np.int32)
            for k in range(len(old_held)):
                if old_held[k] >= 0:
                    slot = _slot(old_keys[k, 0], old_keys[k, 1], keys, held)
                    keys[slot, 0], keys[slot, 1], held[slot] = old_keys[k, 0], old_keys[k, 1], old_held[k]
        a = (np.uint64(columns.src[row]) << np.uint64(16)) | src_port
        b = (np.uint64(columns.dst[row]) << np.uint64(16)) | dst_port
        side = np.int64(a > b)  # 1: from the high end
        low, high = salted ^ min(a, b) ^ (np.uint64(protocol == 17) << np.uint64(63)), max(a, b)
        slot = _slot(low, high, keys, held)
        mine: Int = np.int64(held[slot])
        flags = columns.tcp_flags[row] if protocol == 6 else np.uint16(0)
        opens = flags & 18 == 2
        new: Int = mine < 0
        if new:
            keys[slot, 0], keys[slot, 1] = low, high
            entered += 1
        elif opens and state[mine] & _USED:
            new = not (state[mine] & (_SYN_LOW << side) and syn[mine, side] == columns.tcp_seq[row])
        if new:
            mine = count
            count += 1
            held[slot] = mine
            first[mine] = row
            state[mine] = (_FIRST_HIGH | _CLIENT_HIGH) * side
        number[row] = mine
        known: Int = np.int64(state[mine])
        if opens:
            if not known & _SYN:
                known = (known & ~_CLIENT_HIGH) | _CLIENT_HIGH * side
            known |= _SYN_LOW << side
            syn[mine, side] = columns.tcp_seq[row]
        elif flags & 18 == 18 and not known & (_SYN | _ANSWERED):
            known = (known & ~_CLIENT_HIGH) | _CLIENT_HIGH * (1 - side) | _ANSWERED
        if flags & 5 or columns.payload_length[row] > 0:
            known |= _USED
        state[mine] = known
    return number, first[:count].copy(), state[:count].copy()
