"""Packets as the dictionaries of the original research code, to and from a `Trace`.

A packet is ``{"type": "IPv4" | "IPv6", "src", "dst", "len", "ttl", "proto": "TCP" | "UDP" | ..., "time", "tcp_info",
"tls_info"}``. ``len`` is the length field of the IP header: for IPv4 the whole packet, for IPv6 what follows the 40
bytes of the header (they are added on the way in and taken off on the way out). ``time`` is in seconds since 1970, as
text or a number; text is taken digit by digit. ``tcp_info`` is None or ``{"sport", "dport", "flags", "opts", "seq",
"ack", "payload"}`` with ``flags`` a dictionary of booleans, ``tls_info`` None or ``{"type", "ver", "len", "records",
"data"}``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from decimal import ROUND_FLOOR, Context, Decimal, InvalidOperation
from typing import Any

import numpy as np

from toolkit.columns import NO_FRAME, Columns
from toolkit.hosts import Hosts
from toolkit.selection import PROTOCOLS
from toolkit.source import Source
from toolkit.trace import Trace

FLAGS = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32, "ECE": 64, "CWR": 128}
TLS_TYPES = {"CHANGE_CIPHER_SPEC": 20, "ALERT": 21, "HANDSHAKE": 22, "APPLICATION_DATA": 23, "HEARTBEAT": 24}
_NANOSECOND = Decimal("1e-9")
_PRECISE = Context(prec=400)  # a float has up to 309 digits before the point
UNKNOWN_TLS = 255
"""`tls_type` of a packet whose dictionary names a TLS record of another type."""


def from_packets(packets: Iterable[dict[str, Any]]) -> Trace:
    """Make a `Trace` of packet dictionaries.

    UDP packets have no ports and no payload in that form: ports are 0, and the payload length is what an IP header
    without options leaves.

    Raises
    ------
    ValueError
        If a packet lacks a field or one cannot be understood; the message has its position.

    Examples
    --------
    >>> packet = {"type": "IPv4", "src": "10.0.0.1", "dst": "10.0.0.2", "len": 52, "ttl": 64, "proto": "UDP",
    ...           "time": "1500000000.000001", "tcp_info": None, "tls_info": None}
    >>> Trace.from_packets([packet]).packets[["time", "ip_length", "payload_length"]]
                                  time  ip_length  payload_length
    0 2017-07-14 02:40:00.000001+00:00         52              24
    """
    listed = list(packets)
    hosts: dict[tuple[str, int], int] = {}
    payloads: list[bytes] = []
    rows: list[tuple[int, ...]] = []
    offset = 0
    for number, packet in enumerate(listed):
        try:
            row, payload = _row(packet, hosts)
        except KeyError as error:
            raise ValueError(f"packet {number}: no field {error} in the dictionary") from None
        except (TypeError, ValueError, OverflowError, AttributeError) as error:
            raise ValueError(f"packet {number}: {error}") from error
        rows.append((*row, number + 1, offset))
        payloads.append(payload)
        offset += len(payload)
    names = (
        *("time", "src", "dst", "protocol", "src_port", "dst_port", "ip_length", "ttl", "tcp_seq", "tcp_ack"),
        *("tcp_flags", "payload_length", "tls_type", "number", "frame_offset"),
    )
    empty = Columns.empty()
    values: dict[str, Any] = {name: np.zeros(len(rows), kind.dtype) for name, kind in empty._asdict().items()}
    for name, column in zip(names, zip(*rows, strict=True), strict=False):
        try:
            values[name][:] = column
        except OverflowError:
            limits = np.iinfo(values[name].dtype)
            number = next(row for row, value in enumerate(column) if not limits.min <= value <= limits.max)
            found = f"got {name}={column[number]}"
            raise ValueError(f"packet {number}: expected {limits.min} to {limits.max}, {found}") from None
    if len(rows) and values["time"].min() == np.iinfo(np.int64).min:
        number = int(values["time"].argmin())
        raise ValueError(f"packet {number}: time is out of range: pandas takes this number for no time")
    known, number_of = Hosts.from_strings([address for address, _ in hosts])
    values["src"], values["dst"] = number_of[values["src"]], number_of[values["dst"]]
    sizes = np.array([len(payload) for payload in payloads], np.int32)
    values["payload_captured"] = sizes
    values["frame_length"] = values["ip_length"].copy()
    values["frame_captured"] = sizes.copy()
    values["link_type"][:] = NO_FRAME
    columns = Columns(**values)
    columns.freeze()
    data = np.frombuffer(b"".join(payloads), np.uint8)
    source = Source(format="packet dictionaries", size=offset, frames=len(rows), packets=len(rows))
    return Trace(columns, known, (data,), (source,), history=("from_packets",))


def _row(packet: dict[str, Any], hosts: dict[tuple[str, int], int]) -> tuple[tuple[int, ...], bytes]:
    kind = packet["type"]
    if kind not in ("IPv4", "IPv6"):
        raise ValueError(f"type must be 'IPv4' or 'IPv6', got {kind!r}")
    header = 40 if kind == "IPv6" else 0
    length = int(packet["len"]) + header
    protocol = packet["proto"]
    tcp = packet["tcp_info"]
    payload = b""
    src_port = dst_port = seq = ack = flags = payload_length = 0
    if tcp is not None:
        if isinstance(tcp["payload"], int):  # of which `bytes` would make so many zeros
            raise TypeError(f"payload must be bytes, got {tcp['payload']!r}")
        payload = bytes(tcp["payload"])
        payload_length = len(payload)
        src_port, dst_port, seq, ack = (int(tcp[name]) for name in ("sport", "dport", "seq", "ack"))
        flags = sum(bit for name, bit in FLAGS.items() if tcp["flags"].get(name))
    elif protocol == "UDP":
        payload_length = max(length - (header or 20) - 8, 0)
    tls = packet["tls_info"]
    src, dst = (_host(str(packet[end]), int(kind[-1]), hosts) for end in ("src", "dst"))
    return (
        nanoseconds_of(packet["time"]),
        src,
        dst,
        _protocol_number(str(protocol)),
        src_port,
        dst_port,
        length,
        int(packet["ttl"]),
        seq,
        ack,
        flags,
        payload_length,
        0 if tls is None else _tls_type(tls["type"]),
    ), payload


def _host(address: str, version: int, hosts: dict[tuple[str, int], int]) -> int:
    """Give the number of an address; a new one is checked and entered."""
    key = address, version
    if key not in hosts:
        if ipaddress.ip_address(address).version != version:
            raise ValueError(f"expected an address of IPv{version}, got {address!r}")
        hosts[key] = len(hosts)
    return hosts[key]


def _protocol_number(name: str) -> int:
    """Give the number of a protocol, which may be its name already; 255, which is reserved, for an unknown name."""
    if name.isdecimal():
        return int(name)
    return PROTOCOLS.get(name.lower(), 255)


def _tls_type(kind: object) -> int:
    if isinstance(kind, int):
        return kind if 0 < kind < 256 else UNKNOWN_TLS
    return TLS_TYPES.get(str(kind), UNKNOWN_TLS)


def nanoseconds_of(seconds: str | float | Decimal) -> int:
    """Read seconds since 1970 (or a duration) into whole nanoseconds: as it is written, rounded down.

    A float is taken as it prints, since that is what whoever wrote it saw.
    """
    try:
        value = Decimal(str(seconds))
        if not value.is_finite():
            raise ValueError(f"time must be a finite number of seconds, got {seconds!r}")
        return int(value.quantize(_NANOSECOND, ROUND_FLOOR, _PRECISE).scaleb(9, _PRECISE))
    except InvalidOperation:  # no number, or of more digits
        raise ValueError(f"time must be a number of seconds, got {seconds!r}") from None


def seconds_text(time: int) -> str:
    """Write nanoseconds as seconds with six decimals, or nine where it takes them."""
    if time < 0:
        return "-" + seconds_text(-time)
    seconds, rest = divmod(time, 1_000_000_000)
    return f"{seconds}.{rest:09d}" if rest % 1_000 else f"{seconds}.{rest // 1_000:06d}"


def to_packets(trace: Trace) -> list[dict[str, Any]]:
    """Give the packets of a trace as dictionaries.

    ``time`` is text with six decimals, or nine where the capture has nanoseconds. Options are not kept (``opts`` is an
    empty list). ``records`` is the number of TLS records that start in the payload one after the other, and ``data``
    their contents as far as they are in this packet.

    Examples
    --------
    >>> import toolkit
    >>> packet = toolkit.load_example("obfs4")[:1].to_packets()[0]
    >>> packet["proto"], packet["tcp_info"]["flags"]["SYN"]
    ('TCP', True)
    """
    names = {number: name.upper() for name, number in PROTOCOLS.items()}
    hosts, families = trace.hosts, trace.host_families()
    columns = [column.tolist() for column in trace.columns]
    packets = []
    for i, values in enumerate(zip(*columns, strict=True)):
        row = dict(zip(Columns._fields, values, strict=True))
        version = families[row["src"]]
        payload = bytes(trace.payload(i))
        tcp = None
        if row["protocol"] == 6:
            tcp = {
                "sport": row["src_port"],
                "dport": row["dst_port"],
                "flags": {name: bool(row["tcp_flags"] & bit) for name, bit in FLAGS.items()},
                "opts": [],
                "seq": row["tcp_seq"],
                "ack": row["tcp_ack"],
                "payload": payload,
            }
        packets.append(
            {
                "type": f"IPv{version}",
                "src": hosts[row["src"]],
                "dst": hosts[row["dst"]],
                "len": row["ip_length"] - (40 if version == 6 else 0),
                "ttl": row["ttl"],
                "proto": names.get(row["protocol"], str(row["protocol"])),
                "time": seconds_text(row["time"]),
                "tcp_info": tcp,
                "tls_info": _tls_info(row["tls_type"], payload) if row["tls_type"] else None,
            }
        )
    return packets


def _tls_info(kind: int, payload: bytes) -> dict[str, Any]:
    records = []
    position = 0
    while position + 5 <= len(payload) and 20 <= payload[position] <= 24 and payload[position + 1] == 3:
        size = int.from_bytes(payload[position + 3 : position + 5], "big")
        records.append(payload[position + 5 : position + 5 + size])
        position += 5 + size
    names = {number: name for name, number in TLS_TYPES.items()}
    return {
        "type": names.get(kind, kind),
        "ver": f"TLS 1.{payload[2] - 1}" if len(payload) > 2 and payload[2] else "SSL 3.0",
        "len": int.from_bytes(payload[3:5], "big"),
        "records": len(records),
        "data": records,
    }
