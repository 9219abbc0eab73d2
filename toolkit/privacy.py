"""Captures that can be published: `anonymise`, and what belongs to it.

What of a packet survives (in full: `toolkit.capture.relinking`, `toolkit.capture.rewriting`):

============================================  =======================================================================
field                                         afterwards
============================================  =======================================================================
time, order, length on the wire, bytes kept   the same, to the nanosecond and the byte
IP addresses of either version                pseudonyms that keep prefixes (`toolkit.cryptopan`), of special ones, too
ports, protocol, TTL, TOS, don't-fragment     the same
TCP sequence numbers, flags, window           the same
TCP options                                   segment size, window scale and SACK stay, time stamps and all others go
lengths of IP, TCP, UDP, payload              the same
payload of TCP and UDP                        zeros; the same with ``keep_payload=True``
entropy of the payload, type of TLS record    the same: kept beside the bytes (`toolkit.capture.beside`)
everything else in an IP packet               zeros: options, addresses in extension headers, ICMP but type and code,
                                              tunnels and other protocols
IP identification, IPv6 flow label            0, but for the identification of fragments
type and lengths of the link layer            the same, with all tags and headers where they are; the direction, too
MAC addresses, VLAN ids, sessions, circuits   0, and all else that tags, tunnels and routes of the link layer name
MPLS labels                                   16 each; as many as there were
802.11, radiotap, Prism, AVS, PPI             kind and direction of the frame stay; access points, sequence numbers,
                                              signal, times, channels and devices are 0
logs of packet filters                        kinds and lengths stay; interfaces, rules, users, processes, prefixes,
                                              hardware addresses, marks and times are 0
padding, trailers, frame check sequence       zeros
checksums of IP, TCP, UDP, ICMP               made anew: right, whether they were or not. 0 in a first fragment and,
                                              with ``keep_payload``, where the payload is cut. UDP's 0 (none) stays
frames that are no rows (ARP, ...)            not written
comments, names, interfaces, system           not written
name, history and SHA-256 of the capture      not kept
============================================  =======================================================================

So every feature, window, cluster, connection and chart comes out the same, but for the names of hosts. (What reads
payload bytes itself finds zeros: `Trace.payload`, `Trace.to_packets`; `toolkit.tls_records` raises an error.) The
health report does but for five findings: duplicates count as retransmitted (the IP identification tells them), and
checksum offload, faults of the file, payload of zeros and frames that were no rows are not there any more.

Special addresses (0.0.0.0, broadcast, multicast, loopback) have pseudonyms as all others do. Kept, they would need
others to make room for them, and the mapping would neither keep prefixes nor be that of other tools. Who knows the
pseudonym of one, by the port of multicast DNS for example, learns the first 1 to 3 bits of most other addresses, and
more of those that agree with it further, such as 126.0.0.0/8 with 127.0.0.1.

Pseudonyms hide addresses from who has only the published capture. They do not from who recorded the same traffic, or
sent some of it: times, lengths and sequence numbers are there to be matched. Nor do they hide a network from who can
recognise some of its hosts by what these do (R. Pang, M. Allman, V. Paxson and J. Lee, "The Devil and Packet Trace
Anonymization", CCR 2006). `toolkit.synchronise` moves the times, if the date must not be known.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from toolkit.capture.relinking import rewrite_links
from toolkit.capture.rewriting import rewrite
from toolkit.capture.writing import Format, Piece, frames_of, row_ranges, write_pieces
from toolkit.columns import FIRST_FRAGMENT, LATER_FRAGMENT, NO_FRAME, Columns
from toolkit.cryptopan import pseudonyms
from toolkit.entropy import payload_entropy
from toolkit.errors import ToolkitError
from toolkit.hosts import Hosts, Network, Networks, parse_networks
from toolkit.source import Source
from toolkit.storage import Bytes
from toolkit.trace import Trace


def anonymise(trace: Trace, *, key: bytes, keep_payload: bool = False) -> Trace:
    """Give the packets with pseudonyms for addresses, and without what identifies people and machines.

    The table above says what of a packet survives. Everything that the toolkit computes comes out the same.

    Parameters
    ----------
    trace
        Packets that were read from captures. Its frames are written anew in memory; `write_anonymised` goes from file
        to file.
    key
        32 bytes, as `new_key` and `read_key` give them. The same key gives the same pseudonyms.
    keep_payload
        Keep the payload of TCP and UDP as it is, with all that it may say, names and addresses included. The payload of
        no other protocol is kept.

    Returns
    -------
    Trace
        The same packets in the same order, of one nameless source, without history.

    Raises
    ------
    ValueError, TypeError
        If `key` is not of 32 bytes.
    ToolkitError
        If packets came from no capture file, or the package cryptography is not installed.

    Examples
    --------
    >>> import toolkit
    >>> trace = toolkit.load_example("obfs4")
    >>> key = bytes(range(32))  # yours: toolkit.new_key("key.txt")
    >>> public = anonymise(trace, key=key)
    >>> public.hosts[:2]
    ('246.77.91.221', '246.77.90.236')
    >>> table = toolkit.client_features(trace, "10.77.0.0/24")
    >>> same = toolkit.client_features(public, anonymise_networks("10.77.0.0/24", key=key))
    >>> bool((table.to_numpy() == same.to_numpy()).all())
    True
    """
    hosts = pseudonyms(trace._hosts, key)
    columns, data = _rewritten(trace, trace.columns, hosts, keep_payload)
    columns = columns._replace(number=np.arange(1, len(trace) + 1, dtype=np.uint32))
    columns.freeze()
    source = Source(
        format="anonymised",
        link_types=tuple(np.unique(columns.link_type).tolist()),
        snap_length=max((source.snap_length for source in trace.sources), default=0),
        size=len(data),
        frames=len(trace),
        packets=len(trace),
    )
    kept = "payload kept" if keep_payload else "payload replaced by zeros"
    entropy = None if keep_payload and trace.kept_entropy is None else payload_entropy(trace)
    return Trace(
        columns,
        hosts,
        (data,),
        (source,),
        history=(f"anonymise ({kept}): {len(trace)} packets",),
        kept_entropy=entropy,
    )


def write_anonymised(
    trace: Trace,
    path: str | os.PathLike[str],
    *,
    key: bytes,
    keep_payload: bool = False,
    format: Format | None = None,
) -> Path:
    """Write what ``anonymise(trace).to_pcap(path)`` would, without ever having all frames in memory.

    Unless `keep_payload`, a Parquet table beside it (``path`` and ``.payload.parquet``) has the entropy and the TLS
    type of each payload. `toolkit.read` takes them from there, so publish both files.

    Parameters
    ----------
    trace, key, keep_payload
        See `anonymise`.
    path, format
        See `Trace.to_pcap`.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    ValueError, TypeError, ToolkitError
        As `anonymise` and `Trace.to_pcap`; without `keep_payload` also if pyarrow is not installed.

    Examples
    --------
    >>> import tempfile, toolkit
    >>> trace = toolkit.load_example("obfs4")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_anonymised(trace, f"{folder}/public.pcap", key=bytes(range(32)))
    ...     sorted(file.name for file in path.parent.iterdir())
    ['public.pcap', 'public.pcap.payload.parquet']
    """
    hosts = pseudonyms(trace._hosts, key)

    def pieces() -> Iterator[Piece]:
        for rows in row_ranges(trace):
            columns, data = _rewritten(trace, trace.columns.take(rows), hosts, keep_payload)
            yield columns, data

    return write_pieces(trace, path, format, pieces(), kept=not keep_payload or trace.kept_entropy is not None)


def anonymise_networks(clients: Networks, *, key: bytes) -> tuple[Network, ...]:
    """Give the networks that hold the pseudonyms of the addresses in some networks.

    Parameters
    ----------
    clients
        Addresses or networks, as every function that takes clients wants them.
    key
        See `anonymise`.

    Examples
    --------
    >>> anonymise_networks(["10.77.0.0/24", "2001:db8::/32"], key=bytes(range(32)))
    (IPv4Network('246.77.91.0/24'), IPv6Network('dd92:2c44::/32'))
    """
    networks = parse_networks(clients)
    hosts, number = Hosts.from_strings([str(network.network_address) for network in networks])
    names = pseudonyms(hosts, key).names
    # the first bits of a pseudonym depend on those of the address alone
    return tuple(
        ipaddress.ip_network(f"{names[i]}/{network.prefixlen}", strict=False)
        for i, network in zip(number.tolist(), networks, strict=True)
    )


def _rewritten(trace: Trace, columns: Columns, hosts: Hosts, keep_payload: bool) -> tuple[Columns, Bytes]:
    """Write the frames of some rows anew: the rows as they are then, and the frames one after the other."""
    if (columns.link_type == NO_FRAME).any():
        row = int(np.argmax(columns.link_type == NO_FRAME))
        raise ToolkitError(f"packet {row} came from no capture file: it has no frame to anonymise")
    before = frames_of(trace, columns)
    place: npt.NDArray[np.int64] = np.cumsum(columns.frame_captured, dtype=np.int64) - columns.frame_captured
    data = np.zeros(len(before), np.uint8)
    marks = columns.marks.copy()
    network = rewrite_links(before, columns, place, data)
    done = rewrite(before, columns, hosts.words, keep_payload, place, network, data, marks)
    if done != len(place):  # nothing of them was written, so nothing leaks
        raise ToolkitError(f"{len(place) - done} packets have a frame that could not be read again")
    data.flags.writeable = False
    fragments = columns.marks & (FIRST_FRAGMENT | LATER_FRAGMENT) != 0
    new = columns._replace(frame_offset=place, marks=marks, ip_id=np.where(fragments, columns.ip_id, np.uint16(0)))
    new.freeze()
    return new, data
