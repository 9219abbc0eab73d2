"""Write capture files by hand, field by field, to test the reader with.

Packets first (`ipv4`, `ipv6`, `tcp`, `udp`), then what goes around them on the wire (`LINKS`), then the files
(`pcap`, `pcapng`, `compress`). Plain and slow on purpose, and independent of the toolkit, so that no mistake is made
twice. `test_writer.py` checks it against dpkt and tshark.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial as bind
from ipaddress import ip_address
from typing import Literal

import zstandard

ByteOrder = Literal["little", "big"]
Addresses = tuple[str, str]
Options = Sequence[tuple[int, bytes]]  # of pcapng blocks: code and value
Wrapper = Callable[[bytes], bytes]

# Packets. Everything here is big endian ("network order").

HOP_BY_HOP, TCP, UDP, ROUTING, FRAGMENT, AUTHENTICATION, NO_NEXT, DESTINATION = 0, 6, 17, 43, 44, 51, 59, 60


def _sum16(data: bytes) -> int:
    """One's complement sum of 16-bit words (RFC 1071), an odd last byte padded with zero."""
    data += bytes(len(data) % 2)
    total = 0
    for (word,) in struct.iter_unpack(">H", data):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _transport_checksum(segment: bytes, protocol: int, addresses: Addresses | None, partial: bool) -> int:
    """Checksum of a segment whose own checksum field is still zero; 0 if there are no `addresses`."""
    if addresses is None:
        if partial:
            raise ValueError("`partial` needs `checksum_for`")
        return 0
    pseudo_header = b"".join(ip_address(address).packed for address in addresses)
    pseudo_header += struct.pack(">II", len(segment), protocol)
    # Left to the network card, Linux puts only the sum of the pseudo-header here, not its complement.
    return _sum16(pseudo_header) if partial else _sum16(pseudo_header + segment) ^ 0xFFFF


def ipv4(
    src: str,
    dst: str,
    protocol: int,
    body: bytes,
    *,
    ttl: int = 64,
    ident: int = 0,
    flags_fragment: int = 0,
    options: bytes = b"",
    total_length: int | None = None,
) -> bytes:
    """IPv4 packet. `flags_fragment`: 0x4000 don't fragment, 0x2000 more fragments, low 13 bits offset / 8.

    `total_length` states a false length, for example 0, as a frame has that is left to the network card to cut.
    """
    options += bytes(-len(options) % 4)
    words = 5 + len(options) // 4
    length = words * 4 + len(body) if total_length is None else total_length
    start = struct.pack(">BBHHHBB", 4 << 4 | words, 0, length, ident, flags_fragment, ttl, protocol)
    end = ip_address(src).packed + ip_address(dst).packed + options
    return start + struct.pack(">H", _sum16(start + end) ^ 0xFFFF) + end + body


def ipv6(
    src: str,
    dst: str,
    next_header: int,
    body: bytes,
    *,
    hop_limit: int = 64,
    extensions: Sequence[tuple[int, bytes]] = (),
    payload_length: int | None = None,
) -> bytes:
    """IPv6 packet; `next_header` is the protocol of `body`, `extensions` are (type, content), as `fragment` gives them.

    `payload_length` states a false length (0: left to the network card, or a jumbogram).
    """
    for kind, content in reversed(extensions):
        body = extension(kind, next_header, content) + body
        next_header = kind
    length = len(body) if payload_length is None else payload_length
    start = struct.pack(">IHBB", 6 << 28, length, next_header, hop_limit)
    return start + ip_address(src).packed + ip_address(dst).packed + body


def extension(kind: int, next_header: int, content: bytes) -> bytes:
    """Extension header: next header, length in the unit of its kind, `content`. AUTHENTICATION goes into IPv4, too."""
    size = 2 + len(content)
    if size % (4 if kind == AUTHENTICATION else 8):
        raise ValueError(f"an extension header of {size} bytes does not fill whole units")
    length = {FRAGMENT: 0, AUTHENTICATION: size // 4 - 2}.get(kind, size // 8 - 1)
    return bytes([next_header, length]) + content


def hop_by_hop(options: bytes = b"") -> tuple[int, bytes]:
    """Hop-by-hop options for `ipv6`, filled up with Pad1."""
    return HOP_BY_HOP, options + bytes(-(2 + len(options)) % 8)


def destination_options(options: bytes = b"") -> tuple[int, bytes]:
    """Destination options for `ipv6`, filled up with Pad1."""
    return DESTINATION, hop_by_hop(options)[1]


def routing(*via: str) -> tuple[int, bytes]:
    """Routing header of type 4 (segment routing, RFC 8754) for `ipv6`, with no segment left."""
    fixed = struct.pack(">BBBBH", 4, 0, max(len(via) - 1, 0), 0, 0)
    return ROUTING, fixed + b"".join(ip_address(address).packed for address in via)


def fragment(offset: int, more: bool, ident: int = 1) -> tuple[int, bytes]:
    """Fragment header for `ipv6`; `offset` in bytes, a multiple of 8."""
    return FRAGMENT, struct.pack(">HI", offset | more, ident)


def authentication(check: bytes = bytes(12)) -> tuple[int, bytes]:
    """Authenticate, for `ipv6`: reserved, security parameters, sequence number, integrity check."""
    return AUTHENTICATION, struct.pack(">HII", 0, 256, 1) + check


def tcp(
    sport: int,
    dport: int,
    payload: bytes = b"",
    *,
    seq: int = 0,
    ack: int = 0,
    flags: int = 0x10,
    options: bytes = b"",
    data_offset: int | None = None,
    checksum_for: Addresses | None = None,
    partial: bool = False,
) -> bytes:
    """TCP segment. `data_offset` states a false header length (in words of 4 bytes), `flags` has 12 bits.

    The checksum is 0, or right for the addresses `checksum_for`, or with `partial` the sum of the pseudo-header only.
    """
    options += bytes(-len(options) % 4)
    words = 5 + len(options) // 4 if data_offset is None else data_offset
    start = struct.pack(">HHIIHH", sport, dport, seq, ack, words << 12 | flags, 64_240)
    end = bytes(2) + options + payload
    checksum = _transport_checksum(start + bytes(2) + end, TCP, checksum_for, partial)
    return start + struct.pack(">H", checksum) + end


def udp(
    sport: int,
    dport: int,
    payload: bytes = b"",
    *,
    length: int | None = None,
    checksum_for: Addresses | None = None,
    partial: bool = False,
) -> bytes:
    """UDP datagram. `length` states a false length. The checksum is as for `tcp`, 0 for none sent."""
    start = struct.pack(">HHH", sport, dport, 8 + len(payload) if length is None else length)
    checksum = _transport_checksum(start + bytes(2) + payload, UDP, checksum_for, partial)
    if checksum == 0 and checksum_for is not None:
        checksum = 0xFFFF  # 0 would mean that there is none
    return start + struct.pack(">H", checksum) + payload


# What goes around an IP packet. Its version comes from its first four bits.

MACS = bytes.fromhex("020000000002 020000000001")  # target, source


def _ethertype(packet: bytes) -> bytes:
    return {4: b"\x08\x00", 6: b"\x86\xdd"}[packet[0] >> 4] + packet


def _vlans(tags: Sequence[int], typed: bytes) -> bytes:
    """VLAN tags 100, 101, ... before an EtherType (or length) and its content."""
    return b"".join(struct.pack(">HH", tag, 100 + number) for number, tag in enumerate(tags)) + typed


def _ethernet(packet: bytes, *, tags: Sequence[int] = (), inside: Wrapper = _ethertype, fcs: bytes = b"") -> bytes:
    """Ethernet frame; with `fcs`, as a card captures it: filled up to 60 bytes, then the frame check sequence."""
    frame = MACS + _vlans(tags, inside(packet))
    return frame.ljust(60, b"\0") + fcs if fcs else frame


def _padded(packet: bytes) -> bytes:
    return _ethernet(packet).ljust(60, b"\0")


def _mpls(packet: bytes, *, labels: int = 1) -> bytes:
    """EtherType and stack of labels 1000, 1001, ...; a bit marks the last one."""
    entries = [(1000 + number) << 12 | (number == labels - 1) << 8 | 64 for number in range(labels)]
    return struct.pack(f">H{labels}I", 0x8847, *entries) + packet


def _snap(packet: bytes) -> bytes:
    """802.3: a length instead of the EtherType, then LLC and SNAP."""
    content = bytes.fromhex("aaaa03 000000") + _ethertype(packet)
    if len(content) > 1500:
        raise ValueError(f"an 802.3 frame holds at most 1500 bytes, not {len(content)}")
    return struct.pack(">H", len(content)) + content


def _ppp(packet: bytes, *, before: bytes = b"", short: bool = False) -> bytes:
    """PPP protocol field (in one byte if `short`); `before` are address and control, where there are any."""
    return before + struct.pack(">B" if short else ">H", {4: 0x21, 6: 0x57}[packet[0] >> 4]) + packet


def _pppoe(packet: bytes, *, ethertype: bytes = b"") -> bytes:
    """PPPoE session header: version and type, code, session, length."""
    content = _ppp(packet)
    return ethertype + struct.pack(">BBHH", 0x11, 0, 0x1234, len(content)) + content


def _null(packet: bytes, *, byteorder: ByteOrder, af_inet6: int) -> bytes:
    return {4: 2, 6: af_inet6}[packet[0] >> 4].to_bytes(4, byteorder) + packet


def _cisco(packet: bytes, *, address: int = 0x0F) -> bytes:
    return bytes([address, 0]) + _ethertype(packet)


def _sll(packet: bytes, *, tags: Sequence[int] = ()) -> bytes:
    """Linux cooked: sent by us, ARPHRD_ETHER, address of 6 bytes in a field of 8, EtherType."""
    return struct.pack(">HHH8s", 4, 1, 6, MACS[6:]) + _vlans(tags, _ethertype(packet))


def _sll2(packet: bytes) -> bytes:
    """Linux cooked, second version: EtherType, reserved, interface, ARPHRD_ETHER, sent by us, address as above."""
    return _ethertype(packet)[:2] + struct.pack(">HIHBB8s", 0, 3, 1, 4, 6, MACS[6:]) + packet


def _ppi(packet: bytes, *, inner: int, wrap: Wrapper, fields: Options = ()) -> bytes:
    """Per-packet information: little-endian length of header and fields, link type inside, fields (type, value)."""
    listed = b"".join(struct.pack("<HH", kind, len(value)) + value for kind, value in fields)
    return struct.pack("<BBHI", 0, 0, 8 + len(listed), inner) + listed + wrap(packet)


def _llc(packet: bytes) -> bytes:
    """LLC and SNAP, as where there is no EtherType of its own."""
    return bytes.fromhex("aaaa03 000000") + _ethertype(packet)


def _llc_ip(packet: bytes) -> bytes:
    """802.3: a length, then LLC, which has a number for IP (of version 4)."""
    return struct.pack(">H", 3 + len(packet)) + b"\x06\x06\x03" + packet


ICV = b"\x77" * 16
"""What MACsec puts behind a frame, to check its integrity."""


def _inside(packet: bytes, *, before: str, addresses: bool = False, after: bytes = b"") -> bytes:
    """EtherType and header of a tag, given in hexadecimal, and the frame inside, with its addresses or without."""
    return bytes.fromhex(before) + (MACS if addresses else b"") + _ethertype(packet) + after


def _wlan(packet: bytes, *, direction: int = 1, quality: bool = False, pad: bytes = b"", before: bytes = b"") -> bytes:
    """Frame of IEEE 802.11 with data (to an access point 1, from one 2, between two 3); `before`: another header."""
    control = bytes([0x88 if quality else 0x08, direction])
    header = control + bytes(2) + MACS + MACS[:6] + b"\x10\0" + (MACS[:6] if direction == 3 else b"")
    return before + header + (bytes(2) if quality else b"") + pad + _llc(packet)


def _aggregated(packet: bytes) -> bytes:
    """802.11 with quality of service and high throughput: several frames in one, each with addresses and length."""
    header = b"\x88\x82" + bytes(2) + MACS + MACS[:6] + b"\x10\0" + b"\x80\0" + bytes(4)
    content = _llc(packet)
    return header + MACS + struct.pack(">H", len(content)) + content


def _family(packet: bytes, *, form: str, four: int, six: int, rest: int) -> bytes:
    """Address family in a form of `struct`, `rest` other bytes."""
    return struct.pack(form, four if packet[0] >> 4 == 4 else six) + bytes(rest) + packet


def _pflog(packet: bytes) -> bytes:
    """OpenBSD's packet filter: length of the header (without what fills it up to 4), address family, and more."""
    return bytes([61, {4: 2, 6: 24}[packet[0] >> 4]]) + bytes(62) + packet


def _nflog(packet: bytes, *, byteorder: ByteOrder = "little") -> bytes:
    """Linux netfilter log: family, version, resource; then values with length and type: a prefix (10), the packet."""
    values = _pack(byteorder, "HH", 7, 10) + b"abc\0" + _pack(byteorder, "HH", 4 + len(packet), 9) + packet
    return bytes([{4: 2, 6: 10}[packet[0] >> 4], 0, 0, 0]) + values


def _token_ring(packet: bytes, *, route: bytes = b"") -> bytes:
    """Token ring: access and frame control, addresses; a bit of the source says that there is a route."""
    source = bytes([MACS[6] | 0x80 * bool(route)]) + MACS[7:]
    return b"\x10\x40" + MACS[:6] + source + route + _llc(packet)


def _nsh(packet: bytes, *, ethernet: bool = False) -> bytes:
    """EtherType and service header: 4 bytes of base, 4 of path, 16 of context; what is inside."""
    kind = 3 if ethernet else {4: 1, 6: 2}[packet[0] >> 4]
    inside = MACS + _ethertype(packet) if ethernet else packet
    return bytes.fromhex("894f 0fc6 01") + bytes([kind]) + bytes.fromhex("000001ff") + bytes(16) + inside


def _ipnet(packet: bytes) -> bytes:
    """Solaris: version, address family, direction, length, interface and its group, zones."""
    return struct.pack(">BBHIIIII", 1, {4: 2, 6: 26}[packet[0] >> 4], 0, len(packet), 2, 0, 0, 0) + packet


def _nlpid(packet: bytes) -> bytes:
    """Frame relay: address, control, the network layer in one byte."""
    return bytes.fromhex("184103") + {4: b"\xcc", 6: b"\x8e"}[packet[0] >> 4] + packet


_RADIOTAP = struct.pack("<BBHI", 0, 0, 8, 0)
_RADIOTAP_PADDED = struct.pack("<BBHII4xQB", 0, 0, 25, 0x80000003, 0, 7, 0x20)  # time stamp and flags
# time stamp, flags (nothing is padded), rate, channel, signal; two more words of what is present: signal and antenna
_RADIOTAP_FIELDS = struct.pack(
    "<BBHIIIQBBHHbbBbB", 0, 0, 35, 0xA000002F, 0xA0000820, 0x820, 7, 0, 2, 2412, 0, -50, -50, 0, -60, 1
)
_AVS = struct.pack(">II", 0x80211001, 64) + bytes(56)
_PRISM = struct.pack("<II", 0x44, 144) + bytes(136)

LINKS: dict[str, tuple[int, Wrapper]] = {
    "ethernet": (1, _ethernet),
    "ethernet padded": (1, _padded),
    "ethernet fcs": (1, bind(_ethernet, fcs=b"\xde\xad\xbe\xef")),
    "ethernet 8100": (1, bind(_ethernet, tags=[0x8100])),
    "ethernet 88a8": (1, bind(_ethernet, tags=[0x88A8])),
    "ethernet 9100": (1, bind(_ethernet, tags=[0x9100])),
    "ethernet 88a8 8100": (1, bind(_ethernet, tags=[0x88A8, 0x8100])),
    "ethernet 9100 8100 8100": (1, bind(_ethernet, tags=[0x9100, 0x8100, 0x8100])),
    "ethernet mpls": (1, bind(_ethernet, inside=_mpls)),
    "ethernet mpls mpls": (1, bind(_ethernet, inside=bind(_mpls, labels=2))),
    "ethernet 8100 mpls": (1, bind(_ethernet, tags=[0x8100], inside=_mpls)),
    "ethernet pppoe": (1, bind(_ethernet, inside=bind(_pppoe, ethertype=b"\x88\x64"))),
    "ethernet 8100 pppoe": (1, bind(_ethernet, tags=[0x8100], inside=bind(_pppoe, ethertype=b"\x88\x64"))),
    "ethernet snap": (1, bind(_ethernet, inside=_snap)),
    "ethernet 8100 snap": (1, bind(_ethernet, tags=[0x8100], inside=_snap)),
    "ethernet hsr": (1, bind(_ethernet, inside=bind(_inside, before="892f 0040 0001"))),
    "ethernet metadata": (1, bind(_ethernet, inside=bind(_inside, before="8909 0101 0001 0064"))),
    "ethernet 802.1ah": (1, bind(_ethernet, inside=bind(_inside, before="88e7 00000001", addresses=True))),
    "ethernet trill": (1, bind(_ethernet, inside=bind(_inside, before="22f3 0000 0001 0002", addresses=True))),
    "ethernet trill options": (
        1,
        bind(_ethernet, inside=bind(_inside, before="22f3 0040 0001 0002 00000001", addresses=True)),
    ),
    "ethernet llc": (1, bind(_ethernet, inside=_llc_ip)),
    "ethernet macsec": (1, bind(_ethernet, inside=bind(_inside, before="88e5 0000 00000001", after=ICV))),
    "ethernet macsec sci": (
        1,
        bind(_ethernet, inside=bind(_inside, before="88e5 2200 00000001 02000000000a0001", after=ICV)),
    ),
    "ethernet arista 64": (1, bind(_ethernet, inside=bind(_inside, before="d28b 0001 0010 5ceeed57 384f59c8"))),
    "ethernet arista 48": (1, bind(_ethernet, inside=bind(_inside, before="d28b 0001 0120 ed57 384f59c8"))),
    "ethernet nsh": (1, bind(_ethernet, inside=_nsh)),
    "ethernet nsh ethernet": (1, bind(_ethernet, inside=bind(_nsh, ethernet=True))),
    "token ring": (6, _token_ring),
    "token ring routed": (6, bind(_token_ring, route=bytes.fromhex("0230"))),
    "fddi": (10, lambda packet: b"\x50" + MACS + _llc(packet)),
    "atm": (100, _llc),
    "frame relay": (107, _nlpid),
    "frame relay snap": (107, lambda packet: bytes.fromhex("184103 0080 000000") + _ethertype(packet)),
    "frame relay cisco": (107, lambda packet: bytes.fromhex("48e1") + _ethertype(packet)),
    "frame relay cisco long": (107, lambda packet: bytes.fromhex("80ea9d") + _ethertype(packet)),
    "solaris ipnet": (226, _ipnet),
    "ip over infiniband": (242, lambda packet: bytes(40) + _ethertype(packet)[:2] + bytes(2) + packet),
    "openbsd ipsec": (109, bind(_family, form="<I", four=2, six=24, rest=8)),
    "openbsd pflog": (117, _pflog),
    "ip over 1394": (138, lambda packet: bytes(16) + _ethertype(packet)),
    "netfilter log": (239, _nflog),
    "netfilter log big": (239, bind(_nflog, byteorder="big")),
    "802.11": (105, _wlan),
    "802.11 quality": (105, bind(_wlan, direction=2, quality=True)),
    "802.11 between": (105, bind(_wlan, direction=3)),
    "802.11 aggregated": (105, _aggregated),
    "802.11 radiotap": (127, bind(_wlan, before=_RADIOTAP)),
    "802.11 radiotap padded": (127, bind(_wlan, before=_RADIOTAP_PADDED, quality=True, pad=bytes(2))),
    "802.11 radiotap fields": (127, bind(_wlan, before=_RADIOTAP_FIELDS)),
    "802.11 prism": (119, bind(_wlan, before=_PRISM)),
    "802.11 prism avs": (119, bind(_wlan, before=_AVS)),
    "802.11 avs": (163, bind(_wlan, before=_AVS)),
    "ppi 802.11": (192, bind(_ppi, inner=105, wrap=_wlan)),
    "null ethertype": (0, bind(_family, form="<I", four=0x0800, six=0x86DD, rest=0)),
    "null little 10": (0, bind(_null, byteorder="little", af_inet6=10)),  # Linux
    "null little 24": (0, bind(_null, byteorder="little", af_inet6=24)),  # NetBSD, OpenBSD
    "null little 28": (0, bind(_null, byteorder="little", af_inet6=28)),  # FreeBSD
    "null little 30": (0, bind(_null, byteorder="little", af_inet6=30)),  # macOS
    "null big 10": (0, bind(_null, byteorder="big", af_inet6=10)),
    "null big 24": (0, bind(_null, byteorder="big", af_inet6=24)),
    "null big 28": (0, bind(_null, byteorder="big", af_inet6=28)),
    "null big 30": (0, bind(_null, byteorder="big", af_inet6=30)),
    "loop": (108, bind(_null, byteorder="big", af_inet6=24)),
    "raw 12": (12, bytes),
    "raw 14": (14, bytes),
    "raw 101": (101, bytes),
    "ipv4": (228, bytes),
    "ipv6": (229, bytes),
    "ppp": (9, _ppp),
    "ppp short": (9, bind(_ppp, short=True)),
    "ppp ff03": (9, bind(_ppp, before=b"\xff\x03")),
    "ppp ff03 short": (9, bind(_ppp, before=b"\xff\x03", short=True)),
    "ppp serial": (50, bind(_ppp, before=b"\xff\x03")),
    "ppp serial short": (50, bind(_ppp, before=b"\xff\x03", short=True)),
    "ppp serial cisco": (50, _cisco),
    "ppp ether": (51, _pppoe),
    "ppp direction": (204, bind(_ppp, before=b"\x01\xff\x03")),
    "ppp pppd in": (166, bind(_ppp, before=b"\x00\x03")),  # the direction, where the address would be
    "ppp pppd out": (166, bind(_ppp, before=b"\x01\x03")),
    "cisco hdlc": (104, _cisco),
    "cisco hdlc multicast": (104, bind(_cisco, address=0x8F)),
    "sll": (113, _sll),
    "sll 8100": (113, bind(_sll, tags=[0x8100])),
    "sll2": (276, _sll2),
    "ppi raw": (192, bind(_ppi, inner=12, wrap=bytes)),
    "ppi ethernet": (192, bind(_ppi, inner=1, wrap=_ethernet)),
    "ppi ethernet fields": (192, bind(_ppi, inner=1, wrap=_ethernet, fields=[(6, bytes(8)), (7, bytes(4))])),
}
"""Each way to carry an IP packet that the reader knows: name, link type and wrapper."""


def link(name_or_type: str | int, packet: bytes) -> bytes:
    """Put the link layer around an IP packet: an entry of `LINKS`, or the first one of a link type."""
    if isinstance(name_or_type, str):
        return LINKS[name_or_type][1](packet)
    return next(wrap for number, wrap in LINKS.values() if number == name_or_type)(packet)


def versions(name: str) -> tuple[int, ...]:
    """Versions of IP that an entry of `LINKS` can carry."""
    return {"ipv4": (4,), "ipv6": (6,), "ethernet llc": (4,)}.get(name, (4, 6))


# Files


@dataclass(frozen=True)
class Frame:
    """One frame: its bytes, when it came (ns since 1970), its true length (default: that of `data`), its interface.

    The snap length of a file or an interface cuts `data` when it is written.
    """

    data: bytes
    time_ns: int
    wire_length: int | None = None
    interface: int = 0

    def cut(self, snaplen: int) -> tuple[bytes, int]:
        """Bytes to write, and the length on the wire; a `snaplen` of 0 is no limit."""
        return self.data[: snaplen or None], len(self.data) if self.wire_length is None else self.wire_length


def _pack(byteorder: ByteOrder, form: str, *values: int) -> bytes:
    return struct.pack({"little": "<", "big": ">"}[byteorder] + form, *values)


def pcap(
    frames: Sequence[Frame],
    *,
    byteorder: ByteOrder = "little",
    resolution: Literal["us", "ns"] = "us",
    modified: bool = False,
    linktype: int = 1,
    snaplen: int = 262_144,
) -> bytes:
    """Write a pcap file; `modified` is the format of Kuznetzov with record headers of 24 bytes, µs only."""
    if modified and resolution != "us":
        raise ValueError("the modified format has only microseconds")
    magic = 0xA1B2CD34 if modified else {"us": 0xA1B2C3D4, "ns": 0xA1B23C4D}[resolution]
    out = bytearray(_pack(byteorder, "IHHiIII", magic, 2, 4, 0, 0, snaplen, linktype))
    for frame in frames:
        fraction, rest = divmod(frame.time_ns % 1_000_000_000, {"us": 1_000, "ns": 1}[resolution])
        if rest:
            raise ValueError(f"{frame.time_ns} ns is not a whole number of {resolution}")
        data, wire = frame.cut(snaplen)
        out += _pack(byteorder, "IIII", frame.time_ns // 1_000_000_000, fraction, len(data), wire)
        if modified:
            out += _pack(byteorder, "IHBB", 1, 0x0800, 0, 0)  # interface, protocol, packet type, padding
        out += data
    return bytes(out)


def ticks(time_ns: int, tsresol: int | None = None, tsoffset: int | None = None) -> int:
    """Pcapng time stamp; `ValueError` where the resolution cannot say it exactly.

    `tsresol` is the byte of the option: 9 for 10^-9 s, 0x80 + 20 for 2^-20 s; None for µs.
    """
    power = 6 if tsresol is None else tsresol
    per_second = 1 << (power & 0x7F) if power & 0x80 else int("1" + "0" * power)
    count, rest = divmod((time_ns - (tsoffset or 0) * 1_000_000_000) * per_second, 1_000_000_000)
    if rest or not 0 <= count < 1 << 64:
        raise ValueError(f"{time_ns} ns cannot be written with tsresol={tsresol}, tsoffset={tsoffset}")
    return count


def _filled(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def block(kind: int, body: bytes, byteorder: ByteOrder = "little", options: Options = ()) -> bytes:
    """Any pcapng block: type, length, body filled up to 4 bytes, options, length again."""
    body = _filled(body)
    for code, value in options:
        body += _pack(byteorder, "HH", code, len(value)) + _filled(value)
    if options:
        body += bytes(4)  # the end of the options
    length = 12 + len(body)
    return _pack(byteorder, "II", kind, length) + body + _pack(byteorder, "I", length)


def section_header(byteorder: ByteOrder = "little", *, major: int = 1, length: int = -1) -> bytes:
    """Start of a section; a `length` of -1 leaves it open."""
    return block(0x0A0D0D0A, _pack(byteorder, "IHHq", 0x1A2B3C4D, major, 0, length), byteorder)


def interface(
    linktype: int,
    byteorder: ByteOrder = "little",
    *,
    snaplen: int = 0,
    tsresol: int | None = None,
    tsoffset: int | None = None,
    options: Options = (),
) -> bytes:
    """Interface description; `options` come before those of the time stamps."""
    listed = list(options)
    if tsresol is not None:
        listed.append((9, bytes([tsresol])))
    if tsoffset is not None:
        listed.append((14, _pack(byteorder, "q", tsoffset)))
    return block(1, _pack(byteorder, "HHI", linktype, 0, snaplen), byteorder, listed)


def enhanced_packet(
    frame: Frame,
    byteorder: ByteOrder = "little",
    *,
    snaplen: int = 0,
    tsresol: int | None = None,
    tsoffset: int | None = None,
    options: Options = (),
    old: bool = False,
) -> bytes:
    """Packet as everyone writes it today; snap length, resolution and offset are to be those of its interface.

    The `old` packet block differs in its type, and in an interface number of 16 bits with the drops beside it.
    """
    number = _pack(byteorder, "HH", frame.interface, 0xFFFF) if old else _pack(byteorder, "I", frame.interface)
    high, low = divmod(ticks(frame.time_ns, tsresol, tsoffset), 1 << 32)
    data, wire = frame.cut(snaplen)
    body = number + _pack(byteorder, "IIII", high, low, len(data), wire) + data
    return block(2 if old else 6, body, byteorder, options)


old_packet = bind(enhanced_packet, old=True)


def simple_packet(frame: Frame, byteorder: ByteOrder = "little", *, snaplen: int = 0) -> bytes:
    """Packet of the first interface, without a time; its captured length follows from `snaplen`, so must fit it."""
    data, wire = frame.cut(snaplen)
    if frame.interface != 0 or len(data) != min(wire, snaplen or wire):
        raise ValueError("a simple packet is of interface 0 and cut only by its snap length")
    return block(3, _pack(byteorder, "I", wire) + data, byteorder)


def unknown_block(byteorder: ByteOrder = "little", body: bytes = b"what is this?", kind: int = 0x80001234) -> bytes:
    """Block to be skipped: by default of a type that is left to private use."""
    return block(kind, body, byteorder)


def event_blocks(byteorder: ByteOrder = "little") -> dict[str, bytes]:
    """Give blocks without a packet that Wireshark numbers like packets, by what they are."""
    event = _pack(byteorder, "HQQIH", 1, 0, 7, 30, 4)  # processor, time, thread, length, type
    second = _filled(event + _pack(byteorder, "I", 1) + bytes(8))  # and the number of values
    return {
        "systemd journal": block(9, _filled(b"__REALTIME_TIMESTAMP=1700000000000000\nMESSAGE=hello\n"), byteorder),
        "custom": block(0xBAD, _pack(byteorder, "I", 32_473) + b"ours", byteorder),  # the number of examples, RFC 5612
        "custom, not to be copied": block(0x40000BAD, _pack(byteorder, "I", 32_473) + b"ours", byteorder),
        "sysdig": block(0x204, _filled(event + bytes(8)), byteorder),
        "sysdig 2": block(0x216, second, byteorder),
        "sysdig 2, large": block(0x221, second, byteorder),
    }


def name_resolution_block(byteorder: ByteOrder = "little", address: str = "192.0.2.1", name: str = "a.test") -> bytes:
    """Block with one name, and the record that ends it."""
    packed = ip_address(address).packed
    value = packed + name.encode() + b"\0"
    record = _pack(byteorder, "HH", 1 if len(packed) == 4 else 2, len(value)) + _filled(value)
    return block(4, record + bytes(4), byteorder)


def pcapng(
    frames: Sequence[Frame],
    *,
    byteorder: ByteOrder = "little",
    linktypes: Sequence[int] = (1,),
    snaplens: Sequence[int] = (0,),
    tsresol: Sequence[int | None] = (None,),
    tsoffset: Sequence[int | None] = (None,),
    block: Literal["enhanced", "simple", "old"] = "enhanced",
    interleaved: bool = False,
) -> bytes:
    """Write a pcapng section: all interfaces, then all frames. Sections one after the other are a file, too.

    One value in `snaplens`, `tsresol` or `tsoffset` is for all interfaces. With `interleaved`, names and unknown
    blocks stand between the frames, and options on them.
    """
    count = len(linktypes)
    columns = [list(given) * (count if len(given) == 1 else 1) for given in (snaplens, tsresol, tsoffset)]
    described = [{"snaplen": s, "tsresol": r, "tsoffset": o} for s, r, o in zip(*columns, strict=True)]
    out = bytearray(section_header(byteorder))
    for linktype, own in zip(linktypes, described, strict=True):
        out += interface(linktype, byteorder, **own, options=[(2, b"eth0")] if interleaved else [])
    for number, frame in enumerate(frames):
        if interleaved:
            out += unknown_block(byteorder) if number % 2 else name_resolution_block(byteorder)
        own = described[frame.interface]
        if block == "simple":
            out += simple_packet(frame, byteorder, snaplen=own["snaplen"])
        else:
            comments = [(1, b"a comment")] if interleaved else []
            out += enhanced_packet(frame, byteorder, **own, options=comments, old=block == "old")
    return bytes(out)


def compress(data: bytes, how: str) -> bytes:
    """Compress as "none", "gzip", "zstd" (with its size, as of a file), "zstd stream" (without), "xz" or "bz2"."""
    ways: dict[str, Wrapper] = {
        "none": bytes,
        "gzip": bind(gzip.compress, mtime=0),
        "zstd": zstandard.ZstdCompressor().compress,
        "zstd stream": zstandard.ZstdCompressor(write_content_size=False).compress,
        "xz": lzma.compress,
        "bz2": bz2.compress,
    }
    return ways[how](data)
