"""Link-layer headers without what identifies people and machines: the first part of what `toolkit.anonymise` writes.

A new frame starts as zeros. This walks to the IP header as `toolkit.capture.decode` does, and puts in what leads there:

- EtherTypes, protocol numbers and address families; LLC, of which the organisation is 0; the place of each VLAN tag;
  MPLS labels and the circuit of frame relay, each of them 16, the first free one, and which label is the last.
- Lengths of headers and of what they hold; for token ring and TRILL, whether there is a route, and options; for MACsec,
  whether there is an identifier; the kind and size of a time stamp, without it.
- IEEE 802.11: that it is of data, its direction, whether there is quality of service, and several frames in one.
- Radiotap says its length, and flags only if they say that the header behind it is padded. Prism, AVS and PPI say their
  type and length.
- The direction that Linux (cooked) and PPP write before a frame.

Everything else is 0: addresses of machines, networks and access points, VLAN ids and priorities, service tags,
nicknames of bridges, routes, circuits, sessions, sequence numbers; radio fields; interfaces, rules, users and processes
that a packet filter names; prefixes, marks and times of a netfilter log.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from toolkit._jit import Int, kernel
from toolkit.columns import Columns
from toolkit.storage import Bytes

PPI = 192


@kernel
def _short(data: Bytes, position: Int) -> Int:
    return (np.int64(data[position]) << 8) | np.int64(data[position + 1])


@kernel
def _little(data: Bytes, position: Int) -> Int:
    return np.int64(data[position]) | (np.int64(data[position + 1]) << 8)


@kernel
def _keep(data: Bytes, out: Bytes, first: Int, count: Int, end: Int) -> None:
    """Copy `count` bytes, or those of them before `end`."""
    for i in range(first, min(first + count, end)):
        out[i] = data[i]


@kernel
def _keep_bits(data: Bytes, out: Bytes, position: Int, bits: Int, end: Int) -> None:
    """Copy some bits of a byte, if it is before `end`."""
    if position < end:
        out[position] = data[position] & bits


@kernel
def _from_ethertype(data: Bytes, out: Bytes, position: Int, end: Int) -> Int:
    """Copy the EtherType at `position` and what leads to IP behind it; give where that starts, -1 if nowhere."""
    if position + 2 > end:
        return -1
    _keep(data, out, position, 2, end)
    return _behind(data, out, _short(data, position), position + 2, end)


@kernel
def _from_llc(data: Bytes, out: Bytes, position: Int, end: Int) -> Int:
    return _behind(data, out, 0, position, end)


@kernel
def _behind(data: Bytes, out: Bytes, kind: Int, position: Int, end: Int) -> Int:
    """Copy what leads to IP behind the EtherType `kind`, or behind a length, which is what small ones are."""
    while True:
        if kind == 0x0800 or kind == 0x86DD:
            return position
        if kind == 0x8100 or kind == 0x88A8 or kind == 0x9100 or kind == 0x9200:
            position += 2
        elif kind == 0x892F:
            position += 4
        elif kind == 0x8909:
            position += 6
        elif kind == 0x88E7:
            position += 16
        elif kind == 0x22F3:
            if position + 2 > end:
                return -1
            _keep_bits(data, out, position, 0x07, end)  # how many options
            _keep_bits(data, out, position + 1, 0xC0, end)
            position += 18 + ((_short(data, position) >> 6) & 0x1F) * 4
        elif kind == 0x88E5:
            if position >= end:
                return -1
            _keep_bits(data, out, position, 0x20, end)  # whether there is an identifier
            position += 14 if data[position] & 0x20 else 6
        elif kind == 0xD28B:
            if position + 4 > end:
                return -1
            _keep(data, out, position, 4, end)  # what it is, and of which size
            short = _short(data, position + 2) & 0xFF == 0x20
            position += 10 if short else 12
        elif kind == 0x894F:
            if position + 8 > end:
                return -1
            _keep_bits(data, out, position + 1, 0x3F, end)  # the length
            _keep_bits(data, out, position + 2, 0x0F, end)  # of which kind it is
            _keep(data, out, position + 3, 1, end)  # what follows
            inside = data[position + 3]
            position += (_short(data, position) & 0x3F) * 4
            if inside != 3:
                return position
            position += 12
        elif kind == 0x8847 or kind == 0x8848:
            return _from_mpls(data, out, position, end)
        elif kind == 0x8864:
            return _from_pppoe(data, out, position, end)
        elif kind <= 1500:
            if position + 3 > end:
                return -1
            _keep(data, out, position, 3, end)
            if data[position] == 0x06:  # IP without an EtherType
                return position + 3
            position += 6
        else:
            return -1
        if position + 2 > end:
            return -1
        kind = _short(data, position)
        _keep(data, out, position, 2, end)
        position += 2


@kernel
def _from_mpls(data: Bytes, out: Bytes, position: Int, end: Int) -> Int:
    while position + 4 <= end:
        bottom = data[position + 2] & 1
        out[position + 1] = 1  # label 16
        out[position + 2] = bottom
        position += 4
        if bottom:
            return position
    return -1


@kernel
def _from_pppoe(data: Bytes, out: Bytes, position: Int, end: Int) -> Int:
    _keep(data, out, position, 2, end)
    _keep(data, out, position + 4, 2, end)  # the length, behind the session
    return _from_ppp(data, out, position + 6, end)


@kernel
def _from_ppp(data: Bytes, out: Bytes, position: Int, end: Int) -> Int:
    if position + 2 <= end and data[position] == 0xFF and data[position + 1] == 3:
        _keep(data, out, position, 2, end)
        position += 2
    if position >= end:
        return -1
    size = 1 if data[position] & 1 else 2
    kind = np.int64(data[position]) if size == 1 or position + 2 > end else _short(data, position)
    _keep(data, out, position, size, end)
    position += size
    return _from_mpls(data, out, position, end) if kind == 0x281 or kind == 0x283 else position


@kernel
def _from_wlan(data: Bytes, out: Bytes, position: Int, end: Int, padded: bool) -> Int:
    if position + 26 > end:
        return -1
    kind, flags = np.int64(data[position]), np.int64(data[position + 1])
    out[position] = kind & 0x8C  # data, with quality of service or without
    out[position + 1] = flags & 3  # to, from or between access points
    size = 30 if flags & 3 == 3 else 24
    many = False
    if kind & 0x80:
        if position + size + 2 > end:
            return -1
        out[position + 1] = flags & 0x83  # with four bytes for high throughput or without
        out[position + size] = data[position + size] & 0x80
        many = data[position + size] & 0x80 != 0
        size += 6 if flags & 0x80 else 2
    if padded:
        size += -size & 3
    if many:
        _keep(data, out, position + size + 12, 2, end)  # the length of the first frame, behind its addresses
        size += 14
    return _from_llc(data, out, position + size, end)


@kernel
def _from_radiotap(data: Bytes, out: Bytes, position: Int, end: Int) -> Int:
    if position + 8 > end:
        return -1
    _keep(data, out, position + 2, 2, end)  # the length
    fields, place = np.int64(data[position + 4]), 8
    while position + place <= end and data[position + place - 1] & 0x80:
        place += 4
    if fields & 1:
        place += (-place & 7) + 8
    size = _little(data, position + 2)
    padded = bool(fields & 2 and place < size and position + place < end and data[position + place] & 0x20)
    if padded:  # the flags are the only field that is left
        out[position + 4] = 2
        out[position + 8] = 0x20
    return _from_wlan(data, out, position + size, end, padded)


@kernel
def _from_token_ring(data: Bytes, out: Bytes, position: Int, end: Int) -> Int:
    if position + 16 > end:
        return -1
    _keep_bits(data, out, position + 1, 0xC0, end)  # that LLC follows
    if not data[position + 8] & 0x80:
        return _from_llc(data, out, position + 14, end)
    size = np.int64(data[position + 14] & 0x1F)
    out[position + 8] = 0x80
    out[position + 14] = size
    return _from_llc(data, out, position + 14 + size, end)


@kernel
def _from_frame_relay(data: Bytes, out: Bytes, position: Int, end: Int) -> Int:
    if position + 4 > end:
        return -1
    if position < end:
        out[position] = 4 | (data[position] & 1)
    position += 1
    while position < end and not data[position] & 1:
        position += 1
    _keep_bits(data, out, position, 1, end)  # where the address ends
    position += 1
    if position + 2 > end:
        return -1
    if data[position] != 3:
        return _from_ethertype(data, out, position, end)
    _keep(data, out, position, 2, end)
    if data[position + 1] != 0:
        return position + 2
    _keep(data, out, position + 2, 1, end)
    return _from_ethertype(data, out, position + 6, end)


@kernel
def _from_nflog(data: Bytes, out: Bytes, position: Int, end: Int) -> Int:
    _keep(data, out, position, 1, end)  # the address family
    position += 4
    while position + 4 <= end:
        _keep(data, out, position, 4, end)  # length and type, without the value
        big = data[position + 2] == 0
        size = _short(data, position) if big else _little(data, position)
        if data[position + 3 if big else position + 2] == 9:
            return position + 4
        if size < 4:
            return -1
        position += (size + 3) & ~3
    return -1


@kernel
def _network(data: Bytes, out: Bytes, position: Int, end: Int, link: Int) -> Int:
    """Copy what leads to the IP header, as the decoder goes; give where it starts, -1 if there is none."""
    if link == PPI:
        if position + 8 > end:
            return -1
        _keep(data, out, position, 8, end)
        link = _little(data, position + 4)
        position += _little(data, position + 2)
    two = position + 2 <= end
    if link == 1:
        return _from_ethertype(data, out, position + 12, end)
    if link == 113:
        _keep(data, out, position, 6, end)  # direction, kind and size of the address
        return _from_ethertype(data, out, position + 14, end)
    if link == 276:
        if position + 20 > end:
            return -1
        _keep(data, out, position, 2, end)
        _keep(data, out, position + 8, 4, end)  # kind of device, direction, size of the address
        return _behind(data, out, _short(data, position), position + 20, end)
    if link == 12 or link == 14 or link == 101 or link == 228 or link == 229:
        return position
    if link == 0 or link == 108:
        _keep(data, out, position, 4, end)
        return position + 4
    if (link == 104 or link == 9 or link == 50) and position < end:
        cisco = data[position] == 0x0F or data[position] == 0x8F
        if link == 104 or cisco or (link == 50 and two and data[position] != 0xFF and data[position + 1] == 0):
            _keep(data, out, position, 1, end)
            return _from_ethertype(data, out, position + 2, end)
    if link == 9 or link == 50:
        return _from_ppp(data, out, position, end)
    if link == 166:
        if two and data[position] <= 1 and data[position + 1] == 3:
            _keep(data, out, position, 2, end)
            position += 2
        return _from_ppp(data, out, position, end)
    if link == 204:
        _keep(data, out, position, 1, end)  # direction
        return _from_ppp(data, out, position + 1, end)
    if link == 51:
        return _from_pppoe(data, out, position, end)
    if link == 105:
        return _from_wlan(data, out, position, end, False)
    if link == 127:
        return _from_radiotap(data, out, position, end)
    if link == 119 or link == 163:
        if position + 8 > end:
            return -1
        _keep(data, out, position, 8, end)  # kind and length
        avs = _short(data, position) == 0x8021 and data[position + 2] & 0xF0 == 0x10
        size = _short(data, position + 4) << 16 | _short(data, position + 6) if avs else 144
        return _from_wlan(data, out, position + size, end, False)
    if link == 10:
        _keep_bits(data, out, position, 0xF0, end)  # that LLC follows, without the priority
        return _from_llc(data, out, position + 13, end)
    if link == 6:
        return _from_token_ring(data, out, position, end)
    if link == 100:
        return _from_llc(data, out, position, end)
    if link == 107:
        return _from_frame_relay(data, out, position, end)
    if link == 109:
        _keep(data, out, position, 4, end)  # address family
        return position + 12
    if link == 117:
        _keep(data, out, position, 2, end)  # length, address family
        return position + ((np.int64(data[position]) + 3) & ~3) if position < end else -1
    if link == 138:
        return _from_ethertype(data, out, position + 16, end)
    if link == 226:
        _keep(data, out, position, 2, end)  # version, address family
        _keep(data, out, position + 4, 4, end)  # the length
        return position + 24
    if link == 242:
        if position + 44 > end:
            return -1
        _keep(data, out, position + 40, 2, end)
        return _behind(data, out, _short(data, position + 40), position + 44, end)
    if link == 239:
        return _from_nflog(data, out, position, end)
    return -1


@kernel
def rewrite_links(data: Bytes, columns: Columns, place: npt.NDArray[np.int64], out: Bytes) -> npt.NDArray[np.int64]:
    """Write the link-layer headers of frames anew, and give where the IP header of each starts; -1 if none was found.

    `place` says where in `data`, and in `out` (zeros), each frame starts.
    """
    network = np.empty(len(place), np.int64)
    for row in range(len(place)):
        end = place[row] + np.int64(columns.frame_captured[row])
        network[row] = _network(data, out, place[row], end, np.int64(columns.link_type[row]))
    return network
