"""From frames to packets: link layer, IP, TCP or UDP, the start of a TLS record.

Sources: link types https://www.tcpdump.org/linktypes.html; IPv4 RFC 791, IPv6 RFC 8200, TCP RFC 9293, UDP RFC 768,
802.1Q, 802.1AE, 802.11, MPLS RFC 3032, NSH RFC 8300, PPPoE RFC 2516, PPP RFC 1661 and 1662, TLS RFC 8446.

The rules, in one place:

- The outermost IP header counts. A frame without one is not a packet and is counted as such.
- A packet whose fixed IP header is not whole, or that contradicts itself (a header length under 20, another version),
  has no addresses to group it by: it is counted as truncated or malformed, and is no row.
- Lengths come from the headers. What the file holds of the payload is another column.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from toolkit._jit import Int, kernel
from toolkit.capture.framing import NO_LINK, Frames
from toolkit.columns import (
    FIRST_FRAGMENT,
    LATER_FRAGMENT,
    LENGTH_FROM_FRAME,
    MALFORMED,
    PARTIAL_CHECKSUM,
    TRUNCATED,
    Columns,
)
from toolkit.storage import Bytes

PPI = 192
"""Link type of frames that say themselves of which link type they are."""

_NETLINK = 824
"""Kind of device on which Linux (cooked) has messages of the kernel, and another number where the EtherType is."""

# Counts of frames that are no rows
NON_IP, UNKNOWN_LINK, NO_HEADER, BAD_HEADER = range(4)

LINK_TYPES = {
    0: "BSD loopback", 1: "Ethernet", 6: "token ring", 9: "PPP", 10: "FDDI", 12: "raw IP", 14: "raw IP",
    50: "PPP (HDLC)", 51: "PPPoE", 100: "ATM (RFC 2684)", 101: "raw IP", 104: "Cisco HDLC", 105: "802.11",
    107: "frame relay", 108: "OpenBSD loopback", 109: "OpenBSD IPsec", 113: "Linux cooked (SLL)", 117: "OpenBSD pflog",
    119: "802.11 (Prism)", 127: "802.11 (radiotap)", 138: "IP over 1394", 163: "802.11 (AVS)", 166: "PPP (pppd)",
    PPI: "PPI", 204: "PPP with direction", 226: "Solaris IPNET", 228: "raw IPv4", 229: "raw IPv6",
    239: "Linux netfilter log", 242: "IP over InfiniBand", 276: "Linux cooked (SLL2)",
}  # fmt: skip
"""The link types that can be decoded, by their number in the file."""


class HostTable(NamedTuple):
    """Open-addressing hash of the addresses seen, in order of first appearance."""

    slots: npt.NDArray[np.int32]  # number of a host, -1 free; a power of two, at most half full
    words: npt.NDArray[np.uint64]  # (n, 2)
    family: npt.NDArray[np.uint8]
    salted: np.uint64


@kernel
def _short(data: Bytes, position: Int) -> Int:
    """Read a big-endian unsigned 16-bit integer."""
    i = np.uint64(position)  # unsigned: numba would look whether it counts from the end
    return (np.int64(data[i]) << 8) | np.int64(data[i + np.uint64(1)])


@kernel
def _word(data: Bytes, position: Int) -> Int:
    """Read a big-endian unsigned 32-bit integer."""
    i = np.uint64(position)
    return (
        (np.int64(data[i]) << 24)
        | (np.int64(data[i + np.uint64(1)]) << 16)
        | (np.int64(data[i + np.uint64(2)]) << 8)
        | np.int64(data[i + np.uint64(3)])
    )


@kernel
def _long(data: Bytes, position: Int) -> np.uint64:
    return (np.uint64(_word(data, position)) << np.uint64(32)) | np.uint64(_word(data, position + 4))


@kernel
def _six(data: Bytes, position: Int, end: Int) -> Int:
    """Where a packet starts that is said to be of IPv6; -1 if it says itself that it is of IPv4."""
    return -1 if position < end and data[position] >> 4 == 4 else position


@kernel
def _from_ethertype(data: Bytes, position: Int, end: Int) -> Int:
    """Find the network layer behind the EtherType at `position`: where it starts, -1 if it is not IP."""
    return _behind(data, _short(data, position), position + 2, end) if position + 2 <= end else -1


@kernel
def _behind(data: Bytes, kind: Int, position: Int, end: Int) -> Int:
    """Find the network layer in what starts at `position` and is of the EtherType `kind`."""
    while True:
        if kind == 0x0800:
            return position
        if kind == 0x86DD:
            return _six(data, position, end)
        if kind == 0x8100 or kind == 0x88A8 or kind == 0x9100 or kind == 0x9200:
            position += 2  # a VLAN tag; another EtherType follows
        elif kind == 0x892F:
            position += 4  # HSR
        elif kind == 0x8909:
            position += 6  # Cisco MetaData
        elif kind == 0x88E7:
            position += 16  # a service tag (802.1ah), and the addresses of the frame inside
        elif kind == 0x22F3:  # TRILL, its options, and the addresses of the frame inside
            if position + 2 > end:
                return -1
            position += 18 + ((_short(data, position) >> 6) & 0x1F) * 4
        elif kind == 0x88E5:  # MACsec (802.1AE) of version 0, if nothing is encrypted; an identifier if a bit says so
            if position >= end or data[position] & 0x8C:
                return -1
            position += 14 if data[position] & 0x20 else 6
        elif kind == 0xD28B:  # a time stamp of Arista's switches, of 8 or 6 bytes
            if position + 4 > end or _short(data, position) != 1:
                return -1
            version = _short(data, position + 2)
            if version == 0x10 or version == 0x110:
                position += 12
            elif version == 0x20 or version == 0x120:
                position += 10
            else:
                return -1
        elif kind == 0x894F:  # NSH: the length of its header in units of 4 bytes, and the number of what follows
            if position + 8 > end:
                return -1
            inside, size = data[position + 3], (_short(data, position) & 0x3F) * 4
            position += size
            if inside == 1 or inside == 2:
                return position if inside == 1 else _six(data, position, end)
            if inside != 3 or size < 8:
                return -1
            position += 12  # the addresses of the frame inside
        elif kind == 0x8847 or kind == 0x8848:
            return _from_mpls(data, position, end)
        elif kind == 0x8864:
            return _from_pppoe(data, position, end)
        elif kind <= 1500:  # IEEE 802.3: a length; LLC follows
            if position + 3 <= end and _is_llc_ip(data, position):
                return position + 3
            if position + 8 > end or not _is_snap(data, position):
                return -1
            position += 6
        else:
            return -1
        if position + 2 > end:
            return -1
        kind = _short(data, position)
        position += 2


@kernel
def _is_llc_ip(data: Bytes, position: Int) -> bool:
    """Whether this is an LLC header of IP (RFC 948)."""
    return bool(_short(data, position) == 0x0606 and data[position + 2] == 3)


@kernel
def _is_snap(data: Bytes, position: Int) -> bool:
    """Whether this is an LLC header with SNAP (RFC 1042), behind whose 6 bytes an EtherType stands."""
    if _short(data, position) != 0xAAAA or data[position + 2] != 3 or data[position + 3] or data[position + 4]:
        return False
    return bool(data[position + 5] == 0 or data[position + 5] == 0xF8)


@kernel
def _from_llc(data: Bytes, position: Int, end: Int) -> Int:
    if position + 3 <= end and _is_llc_ip(data, position):
        return position + 3
    if position + 8 <= end and _is_snap(data, position):
        return _from_ethertype(data, position + 6, end)
    return -1


@kernel
def _from_wlan(data: Bytes, position: Int, end: Int, padded: bool) -> Int:
    """Find IP in a frame of IEEE 802.11, if it is of data that is not encrypted; the header may be padded to 4."""
    if position + 26 > end:
        return -1
    kind, flags = np.int64(data[position]), np.int64(data[position + 1])
    if kind & 0x4C != 8 or flags & 0x40 or data[position + 22] & 0x0F:  # not data, encrypted, a later fragment
        return -1
    size = 30 if flags & 3 == 3 else 24  # a fourth address between access points
    if kind & 0x80:  # with quality of service
        if position + size + 2 > end:
            return -1
        many = data[position + size] & 0x80  # several frames in one, with headers of 14 bytes: the first counts
        size += 6 if flags & 0x80 else 2
        if padded:
            size += -size & 3
        return _from_llc(data, position + size + (14 if many else 0), end)
    return _from_llc(data, position + size + (-size & 3 if padded else 0), end)


@kernel
def _from_radiotap(data: Bytes, position: Int, end: Int) -> Int:
    """Find IP behind a radiotap header (little-endian), whose flags tell whether what follows is padded."""
    if position + 8 > end:
        return -1
    size = np.int64(data[position + 2]) | (np.int64(data[position + 3]) << 8)
    fields, place = np.int64(data[position + 4]), 8
    while position + place <= end and data[position + place - 1] & 0x80:  # there are more words of what is present
        place += 4
    if fields & 1:  # a time stamp, aligned to 8
        place += (-place & 7) + 8
    padded = bool(fields & 2 and place < size and position + place < end and data[position + place] & 0x20)
    return _from_wlan(data, position + size, end, padded) if size >= 8 else -1


@kernel
def _from_token_ring(data: Bytes, position: Int, end: Int) -> Int:
    if position + 16 > end:
        return -1
    routed = data[position + 8] & 0x80  # a routing field, which begins with its length
    return _from_llc(data, position + 14 + (data[position + 14] & 0x1F if routed else 0), end)


@kernel
def _from_frame_relay(data: Bytes, position: Int, end: Int) -> Int:
    """Find IP behind frame relay: an address, then (RFC 2427) control byte and protocol, or (Cisco) an EtherType."""
    if position < end and data[position] & 1:  # a bit says where the address ends: not in its first byte
        return -1
    position += 1
    while position < end and not data[position] & 1:
        position += 1
    position += 1
    if position + 2 > end:
        return -1
    if data[position] != 3:
        return _from_ethertype(data, position, end)
    if data[position + 1] == 0xCC or data[position + 1] == 0x8E:
        return position + 2 if data[position + 1] == 0xCC else _six(data, position + 2, end)
    if position + 8 <= end and _word(data, position + 1) == 0x00800000 and data[position + 5] == 0:
        return _from_ethertype(data, position + 6, end)
    return -1


@kernel
def _from_nflog(data: Bytes, position: Int, end: Int) -> Int:
    """Find IP in the values of a Linux netfilter log: length and type before each, of which 9 is the packet.

    They are in the byte order of the machine that captured. No type is 0, and none needs the second byte.
    """
    position += 4
    while position + 4 <= end:
        first, last = (1, 0) if data[position + 2] == 0 else (0, 1)
        size = np.int64(data[position + first]) | (np.int64(data[position + last]) << 8)
        if data[position + 2 + first] == 9:
            return _by_version(data, position + 4, end)
        if size < 4:
            return -1
        position += (size + 3) & ~3
    return -1


@kernel
def _from_mpls(data: Bytes, position: Int, end: Int) -> Int:
    """Find IP, told by its version, behind the labels up to the one at the bottom of the stack."""
    while position + 4 <= end:
        bottom = data[position + 2] & 1
        position += 4
        if bottom:
            return _by_version(data, position, end)
    return -1


@kernel
def _from_pppoe(data: Bytes, position: Int, end: Int) -> Int:
    """Find IP behind 6 bytes of PPPoE, if they are of a session, and PPP."""
    if position + 6 > end or data[position] != 0x11 or data[position + 1] != 0:
        return -1
    return _from_ppp(data, position + 6, end)


@kernel
def _by_version(data: Bytes, position: Int, end: Int) -> Int:
    if position < end and (data[position] >> 4 == 4 or data[position] >> 4 == 6):
        return position
    return -1


@kernel
def _from_ppp(data: Bytes, position: Int, end: Int) -> Int:
    """Find IP behind a PPP header, with or without address and control field, with a long or short protocol field."""
    if position + 2 <= end and data[position] == 0xFF and data[position + 1] == 3:
        position += 2
    if position >= end:
        return -1
    if data[position] & 1:  # compressed to one byte
        kind: Int = np.int64(data[position])
        position += 1
    elif position + 2 <= end:
        kind = _short(data, position)
        position += 2
    else:
        return -1
    if kind == 0x21 or kind == 0x57:
        return position if kind == 0x21 else _six(data, position, end)
    if kind == 0x281 or kind == 0x283:
        return _from_mpls(data, position, end)
    return -1


@kernel
def _network(data: Bytes, position: Int, end: Int, link: Int) -> Int:
    """Find the IP header of a frame: where it starts, -1 if it has none, -2 for an unknown link type."""
    if link == NO_LINK:
        return -1
    if link == PPI:  # a header of its own length, then another link type (little-endian both)
        if position + 8 > end:
            return -1
        size = np.int64(data[position + 2]) | (np.int64(data[position + 3]) << 8)
        link = np.int64(data[position + 4]) | (np.int64(data[position + 5]) << 8)
        if size < 8:
            return -1
        if link == PPI or data[position + 6] or data[position + 7]:
            return -2
        position += size
    if link == 1:
        return _from_ethertype(data, position + 12, end)
    if link == 113:
        if position + 16 > end or _short(data, position + 2) == _NETLINK:
            return -1
        return _from_ethertype(data, position + 14, end)
    if link == 276:
        # the protocol comes first, and is followed by the rest of a header of 20 bytes
        if position + 20 > end or _short(data, position + 8) == _NETLINK:
            return -1
        return _behind(data, _short(data, position), position + 20, end)
    if link == 12 or link == 14 or link == 101 or link == 228 or link == 229:
        return position if position < end else -1
    if link == 0 or link == 108:
        if position + 4 > end:
            return -1
        # the address family of the machine that captured, in its own byte order; IPv6 is 24, 28, 30 or 10 by system
        family = max(data[position], data[position + 3])
        if data[position + 1] | data[position + 2] | min(data[position], data[position + 3]):
            number = _word(data, position)  # or the EtherType, as some write it
            number = number if number < 0x10000 else int(data[position]) | (int(data[position + 1]) << 8)
            rest = data[position + 2] | data[position + 3] if _short(data, position) else 0
            if rest or (number != 0x0800 and number != 0x86DD):
                return -1
            return position + 4 if number == 0x0800 else _six(data, position + 4, end)
        if family == 2:
            return position + 4
        if family == 10 or family == 24 or family == 28 or family == 30:
            return _six(data, position + 4, end)
        return -1
    if link == 9 or link == 50:
        if link == 50 and position + 2 <= end and data[position] != 0xFF and data[position + 1] == 0:
            return _from_ethertype(data, position + 2, end)  # Cisco HDLC, as the link type allows
        if position < end and (data[position] == 0x0F or data[position] == 0x8F):
            return _from_ethertype(data, position + 2, end)
        return _from_ppp(data, position, end)
    if link == 166:  # pppd writes the direction where the address would be
        if position + 2 <= end and data[position] <= 1 and data[position + 1] == 3:
            position += 2
        return _from_ppp(data, position, end)
    if link == 105:
        return _from_wlan(data, position, end, False)
    if link == 127:
        return _from_radiotap(data, position, end)
    if link == 119 or link == 163:  # both may have the header of AVS, which has a magic number and its length
        if position + 8 > end:
            return -1
        avs = _word(data, position) & 0xFFFFF000 == 0x80211000
        return _from_wlan(data, position + (_word(data, position + 4) if avs else 144), end, False)
    if link == 10:  # FDDI, of which the first byte says that LLC follows
        kind = data[position] & 0xF0 if position < end else 0
        return _from_llc(data, position + 13, end) if kind == 0x50 or kind == 0xD0 else -1
    if link == 6:
        return _from_token_ring(data, position, end)
    if link == 100:  # RFC 2684 over ATM
        return _from_llc(data, position, end)
    if link == 107:
        return _from_frame_relay(data, position, end)
    if link == 109:  # OpenBSD, behind IPsec: address family, parameters, flags
        return _by_version(data, position + 12, end)
    if link == 117:  # OpenBSD's packet filter: a header that begins with its length, to be padded to 4
        return _by_version(data, position + ((np.int64(data[position]) + 3) & ~3), end) if position < end else -1
    if link == 138:  # IP over IEEE 1394
        return _from_ethertype(data, position + 16, end)
    if link == 226:  # Solaris: a header with address family and zones
        if position + 24 > end or (data[position + 1] != 2 and data[position + 1] != 26):
            return -1
        return position + 24 if data[position + 1] == 2 else _six(data, position + 24, end)
    if link == 242:  # IP over InfiniBand: addresses, EtherType, two bytes that are 0 (RFC 4391)
        return _behind(data, _short(data, position + 40), position + 44, end) if position + 44 <= end else -1
    if link == 204:  # PPP behind a byte for the direction
        return _from_ppp(data, position + 1, end)
    if link == 239:
        return _from_nflog(data, position, end)
    if link == 51:  # PPPoE without the Ethernet header
        return _from_pppoe(data, position, end)
    if link == 104:
        return _from_ethertype(data, position + 2, end)
    return -2


@kernel
def _slot(high: np.uint64, low: np.uint64, family: Int, salted: np.uint64) -> Int:
    """Mix an address into 32 bits, of which the lowest choose the slot."""
    mixed = (low ^ salted) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(32)) ^ high ^ np.uint64(family)) * np.uint64(0xD6E8FEB86659FD93)
    return np.int64(mixed >> np.uint64(32))


@kernel
def _host(hosts: HostTable, count: Int, high: np.uint64, low: np.uint64, family: Int) -> Int:
    """Give the number of a host; `count` if it is new (it is then entered)."""
    mask = len(hosts.slots) - 1
    slot = _slot(high, low, family, hosts.salted) & mask
    while True:
        number = np.int64(hosts.slots[slot])
        if number < 0:
            hosts.slots[slot] = count
            hosts.words[count, 0] = high
            hosts.words[count, 1] = low
            hosts.family[count] = family
            return count
        if hosts.words[number, 1] == low and hosts.words[number, 0] == high and hosts.family[number] == family:
            return number
        slot = (slot + 1) & mask


@kernel
def enter_hosts(hosts: HostTable, known: Int) -> None:
    """Enter the first `known` hosts into empty slots, after the table has grown."""
    mask = len(hosts.slots) - 1
    for number in range(known):
        words, family = hosts.words[number], np.int64(hosts.family[number])
        slot = _slot(words[0], words[1], family, hosts.salted) & mask
        while hosts.slots[slot] >= 0:
            slot = (slot + 1) & mask
        hosts.slots[slot] = number


@kernel
def _tls(data: Bytes, position: Int, captured: Int) -> Int:
    """Content type of the TLS record that starts at `position`, 0 if none does."""
    if captured < 5:
        return 0
    kind = data[position]
    if kind < 20 or kind > 24 or data[position + 1] != 3 or data[position + 2] > 4:
        return 0
    size = _short(data, position + 3)
    # an encrypted record has at most 2^14 + 2048 bytes (TLS 1.2), and none is empty but application data
    if size > 18_432 or (size == 0 and kind != 23):
        return 0
    return np.int64(kind)


@kernel
def tls_types(data: Bytes, start: npt.NDArray[np.int64], captured: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Content type of the TLS record that starts each payload, 0 where none does."""
    found = np.zeros(len(start), np.uint8)
    for i in range(len(start)):
        found[i] = _tls(data, start[i], captured[i])
    return found


@kernel
def decode(
    data: Bytes, base: Int, frames: Frames, count: Int, first: Int, columns: Columns, row: Int,
    hosts: HostTable, known: Int, lost: npt.NDArray[np.int64],
) -> tuple[Int, Int]:  # fmt: skip
    """Decode `count` frames, the first of which has number `first`, into `columns` from `row` on.

    `data` starts at byte `base` of the capture. Returns the next free row and the number of hosts known. `lost` counts
    the frames that gave no row.
    """
    for i in range(count):
        start: Int = frames.offset[i]
        end = start + np.int64(frames.captured[i])  # of what the file has
        wire_end = start + np.int64(frames.length[i])  # of what was sent
        ip = _network(data, start, end, frames.link[i])
        if ip < 0:
            lost[UNKNOWN_LINK if ip == -2 else NON_IP] += 1
            continue
        marks = 0
        if ip >= end:
            lost[NO_HEADER] += 1
            continue
        version = data[ip] >> 4
        if version == 4:
            if ip + 20 > end:
                lost[NO_HEADER] += 1
                continue
            size: Int = np.int64(data[ip] & 15) * 4
            total = _short(data, ip + 2)
            if size < 20 or (total != 0 and total < size):
                lost[BAD_HEADER] += 1
                continue
            protocol: Int = np.int64(data[ip + 9])
            ttl = data[ip + 8]
            ident: Int = _short(data, ip + 4)
            fragment = _short(data, ip + 6)
            later = fragment & 0x1FFF != 0
            if later:
                marks |= LATER_FRAGMENT
            elif fragment & 0x2000:
                marks |= FIRST_FRAGMENT
            body = ip + size
            src_high, dst_high = np.uint64(0), np.uint64(0)
            src_low, dst_low = np.uint64(_word(data, ip + 12)), np.uint64(_word(data, ip + 16))
        elif version == 6:
            if ip + 40 > end:
                lost[NO_HEADER] += 1
                continue
            total = _short(data, ip + 4)
            protocol = np.int64(data[ip + 6])
            if total != 0 or protocol == 59:  # 59: nothing follows
                total += 40
            ttl = data[ip + 7]
            ident = 0
            later = False
            body = ip + 40
            src_high, src_low = _long(data, ip + 8), _long(data, ip + 16)
            dst_high, dst_low = _long(data, ip + 24), _long(data, ip + 32)
        else:
            lost[BAD_HEADER] += 1
            continue
        if total == 0:
            total = wire_end - ip
            marks |= LENGTH_FROM_FRAME
        elif ip + total > wire_end:
            marks |= MALFORMED
        ip_end = ip + total
        if body > end and ip_end > end:  # within the options
            marks |= TRUNCATED
        seen = min(end, ip_end)  # where the bytes of the packet end that the file has
        if version == 6:  # walk the extension headers
            while not later:
                if protocol in (0, 43, 60, 135, 139, 140):
                    known_size = body + 2 <= seen
                    step = (np.int64(data[body + 1]) + 1) * 8 if known_size else 8
                elif protocol == 51:  # authentication header: in units of 4 bytes
                    known_size = body + 2 <= seen
                    step = (np.int64(data[body + 1]) + 2) * 4 if known_size else 8
                elif protocol == 44:
                    known_size = body + 8 <= seen
                    step = 8
                    if known_size:
                        ident = _short(data, body + 6)
                        fragment = _short(data, body + 2)
                        if fragment >> 3:
                            later = True
                            marks |= LATER_FRAGMENT
                        elif fragment & 1:
                            marks |= FIRST_FRAGMENT
                else:
                    break
                if not known_size:
                    marks |= TRUNCATED if ip_end > end else MALFORMED
                    break
                protocol = np.int64(data[body])
                body += step
        if body > ip_end:
            marks |= MALFORMED
            body = ip_end
        src_port: Int = 0
        dst_port: Int = 0
        flags: Int = 0
        tls: Int = 0
        seq: Int = np.int64(0)
        ack: Int = np.int64(0)
        payload = body
        length: Int = 0
        room = ip_end - body  # of the transport, header and payload, as sent
        have = max(seen - body, 0)  # of that, in the file
        if not later and (protocol == 6 or protocol == 17):
            need = 20 if protocol == 6 else 8
            if have < need:
                marks |= TRUNCATED if ip_end > end else MALFORMED
            if have >= 4:
                src_port = _short(data, body)
                dst_port = _short(data, body + 2)
            size = 0
            if protocol == 6:
                if have >= 8:
                    seq = _word(data, body + 4)
                if have >= 12:
                    ack = _word(data, body + 8)
                if have >= 14:
                    flags = _short(data, body + 12) & 0x0FFF
                if have >= 13:
                    size = np.int64(data[body + 12] >> 4) * 4
                    if size < 20 or size > room:
                        marks |= MALFORMED
                        size = 0
                    length = room - size if size else 0
                checksum = body + 16
            else:
                if have >= 6:
                    length = _short(data, body + 4)
                    size = 8
                    if length == 0 and marks & LENGTH_FROM_FRAME:
                        length = room
                    if length < 8 or (length > room and not marks & FIRST_FRAGMENT):
                        marks |= MALFORMED
                    length = max(min(length, room) - 8, 0)
                checksum = body + 6
            payload = body + size
            if have >= need and not marks & FIRST_FRAGMENT:
                found = _short(data, checksum)
                total_sum = protocol + (room if protocol == 6 else min(_short(data, body + 4), room))
                for k in range(ip + 12 if version == 4 else ip + 8, ip + 20 if version == 4 else ip + 40, 2):
                    total_sum += _short(data, k)
                total_sum = (total_sum & 0xFFFF) + (total_sum >> 16)
                total_sum = (total_sum & 0xFFFF) + (total_sum >> 16)
                if found == total_sum and found != 0:
                    marks |= PARTIAL_CHECKSUM
        captured = max(min(seen - payload, length), 0)
        if protocol == 6 and captured > 0:
            tls = _tls(data, payload, captured)
        src = _host(hosts, known, src_high, src_low, np.int64(version))
        known = max(known, src + 1)
        dst = _host(hosts, known, dst_high, dst_low, np.int64(version))
        known = max(known, dst + 1)
        place = np.uint64(row)  # unsigned: numba would look each time whether it counts from the end
        columns.time[place] = frames.time[i]
        columns.src[place] = src
        columns.dst[place] = dst
        columns.protocol[place] = protocol
        columns.src_port[place] = src_port
        columns.dst_port[place] = dst_port
        columns.ip_length[place] = total
        columns.ttl[place] = ttl
        columns.tcp_seq[place] = seq
        columns.tcp_ack[place] = ack
        columns.tcp_flags[place] = flags
        columns.payload_length[place] = length
        columns.payload_captured[place] = captured
        columns.tls_type[place] = tls
        columns.ip_id[place] = ident
        columns.marks[place] = marks
        columns.number[place] = first + i
        columns.frame_offset[place] = base + start
        columns.frame_length[place] = frames.length[i]
        columns.frame_captured[place] = frames.captured[i]
        columns.payload_start[place] = payload - start
        columns.link_type[place] = frames.link[i]
        row += 1
    return row, known
