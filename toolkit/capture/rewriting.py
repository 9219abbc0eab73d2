"""Frames without what identifies people and machines: what `toolkit.anonymise` writes.

A new frame starts as zeros, and only what is listed here is put into it, so that what nobody thought of is left out.

- Link layer: what leads to the IP header (`toolkit.capture.relinking`).
- IPv4: version, header length, TOS, total length, flags, fragment offset, TTL, protocol; the identification only of
  fragments (it means nothing in others, RFC 6864). Options are 0, which ends the list of options.
- IPv6: version, traffic class, length, next header, hop limit; of extension headers the chain (next header, length) and
  the fragment fields. Options are 0, which is padding; the addresses of a routing header are 0.
- TCP: ports, sequence numbers, header length, flags, window; the options for the segment size, window scale and
  selective acknowledgements. Other options, time stamps among them, become no-operations.
- UDP: ports, length. ICMP: type and code.
- Addresses are given; checksums are made.

Everything else is 0: payload, other protocols, padding, trailers and frame check sequences.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from toolkit._jit import Int, kernel
from toolkit.columns import FIRST_FRAGMENT, PARTIAL_CHECKSUM, Columns
from toolkit.storage import Bytes


@kernel
def _short(data: Bytes, position: Int) -> Int:
    return (np.int64(data[position]) << 8) | np.int64(data[position + 1])


@kernel
def _put(out: Bytes, position: Int, value: Int) -> None:
    """Write an unsigned 16-bit integer."""
    out[position] = value >> 8 & 0xFF
    out[position + 1] = value & 0xFF


@kernel
def _keep(data: Bytes, out: Bytes, first: Int, count: Int, end: Int) -> None:
    """Copy `count` bytes, or those of them before `end`."""
    for i in range(first, min(first + count, end)):
        out[i] = data[i]


@kernel
def _sum(out: Bytes, first: Int, stop: Int) -> Int:
    """Sum of 16-bit words (RFC 1071), not folded; an odd last byte is filled up with zero."""
    total: Int = 0
    for i in range(first, stop - 1, 2):
        total += _short(out, i)
    if (stop - first) % 2 == 1 and stop > first:
        total += np.int64(out[stop - 1]) << 8
    return total


@kernel
def _fold(total: Int) -> Int:
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


@kernel
def _tcp_options(data: Bytes, out: Bytes, position: Int, stop: Int) -> None:
    """Copy the options up to `stop` that say nothing about the machine; others become no-operations."""
    while position < stop:
        kind: Int = np.int64(data[position])
        if kind == 0:  # the end; what follows stays 0, which is the end as well
            return
        size: Int = 1
        if kind != 1:
            size = np.int64(data[position + 1]) if position + 1 < stop else 0
            if size < 2 or position + size > stop:
                size = stop - position
                kind = 1
        if (
            (kind == 2 and size == 4)
            or (kind == 3 and size == 3)
            or (kind == 4 and size == 2)
            or (kind == 5 and size <= 34 and size % 8 == 2)
        ):
            _keep(data, out, position, size, stop)
        else:
            for i in range(position, position + size):
                out[i] = 1
        position += size


@kernel
def rewrite(
    data: Bytes, columns: Columns, words: npt.NDArray[np.uint64], keep_payload: bool, place: npt.NDArray[np.int64],
    network: npt.NDArray[np.int64], out: Bytes, marks: npt.NDArray[np.uint8],
) -> Int:  # fmt: skip
    """Write the IP packets of the frames in `data` anew, and give how many.

    `words` are the new addresses by the number of the host. `place` says where in `data`, and in `out` (zeros), each
    frame starts, `network` where its IP header does. `marks` become those that the decoder will find.
    """
    done = 0
    for row in range(len(place)):
        start = place[row]
        end = start + np.int64(columns.frame_captured[row])
        wire_end = start + np.int64(columns.frame_length[row])
        ip = network[row]
        version = data[ip] >> 4 if 0 <= ip < end else 0
        if not ((version == 4 and ip + 20 <= end) or (version == 6 and ip + 40 <= end)):
            continue
        done += 1
        src, dst = np.int64(columns.src[row]), np.int64(columns.dst[row])
        later = False
        if version == 4:
            size: Int = np.int64(data[ip] & 15) * 4
            _keep(data, out, ip, 4, end)
            fragment = _short(data, ip + 6)
            if fragment & 0x3FFF:
                _keep(data, out, ip + 4, 2, end)
            _keep(data, out, ip + 6, 4, end)
            for k in range(4):
                out[ip + 12 + k] = words[src, 1] >> np.uint64(24 - 8 * k) & np.uint64(0xFF)
                out[ip + 16 + k] = words[dst, 1] >> np.uint64(24 - 8 * k) & np.uint64(0xFF)
            _put(out, ip + 10, 0xFFFF - _fold(_sum(out, ip, ip + 20)))
            addresses = _sum(out, ip + 12, ip + 20)
            total = _short(data, ip + 2)
            later = fragment & 0x1FFF != 0
            protocol: Int = np.int64(data[ip + 9])
            body = ip + size
        else:
            out[ip] = data[ip]
            out[ip + 1] = data[ip + 1] & 0xF0  # without the flow label
            _keep(data, out, ip + 4, 4, end)
            for half in range(2):
                for k in range(8):
                    out[ip + 8 + 8 * half + k] = words[src, half] >> np.uint64(56 - 8 * k) & np.uint64(0xFF)
                    out[ip + 24 + 8 * half + k] = words[dst, half] >> np.uint64(56 - 8 * k) & np.uint64(0xFF)
            addresses = _sum(out, ip + 8, ip + 40)
            total = _short(data, ip + 4)
            protocol = np.int64(data[ip + 6])
            if total != 0 or protocol == 59:
                total += 40
            body = ip + 40
        ip_end = ip + total if total else wire_end
        seen = min(end, ip_end)
        if version == 6:
            while not later:
                step: Int = 8
                if protocol in (0, 43, 60, 135, 139, 140):
                    whole = body + 2 <= seen
                    if whole:
                        step = (np.int64(data[body + 1]) + 1) * 8
                        _keep(data, out, body, 2, seen)
                elif protocol == 51:
                    whole = body + 2 <= seen
                    if whole:
                        step = (np.int64(data[body + 1]) + 2) * 4
                        _keep(data, out, body, 2, seen)
                elif protocol == 44:
                    whole = body + 8 <= seen
                    if whole:
                        fragment = _short(data, body + 2)
                        later = fragment >> 3 != 0
                        _keep(data, out, body, 1, seen)
                        _keep(data, out, body + 2, 2, seen)
                        if fragment & 0xFFF9:
                            _keep(data, out, body + 4, 4, seen)
                else:
                    break
                if not whole:
                    break
                protocol = np.int64(data[body])
                body += step
        body = min(body, ip_end)
        marks[row] &= 0xFF - PARTIAL_CHECKSUM
        have = seen - body
        if later or have <= 0:
            continue
        room = ip_end - body
        captured = np.int64(columns.payload_captured[row])
        # with zeros for a payload, those that were cut off are known, too
        summed = not columns.marks[row] & FIRST_FRAGMENT and (
            not keep_payload or captured == columns.payload_length[row]
        )
        stop = min(body + 60, seen)  # of the bytes that may be other than zero
        if keep_payload and captured > 0:
            payload = start + np.int64(columns.payload_start[row])
            _keep(data, out, payload, captured, seen)
            stop = seen
        pseudo: Int = -1
        partial: Int = -1  # what the decoder takes for a checksum left to the network card
        checksum = body
        if protocol == 6:
            _keep(data, out, body, 16, seen)
            size = np.int64(data[body + 12] >> 4) * 4 if have >= 13 else 0
            if 20 <= size <= room:
                _tcp_options(data, out, body + 20, min(body + size, seen))
            if summed and have >= 20:
                pseudo = partial = addresses + protocol + room
                checksum = body + 16
        elif protocol == 17:
            _keep(data, out, body, 6, seen)
            if summed and have >= 8 and _short(data, body + 6) != 0:
                length = _short(data, body + 4)
                partial = addresses + protocol + min(length, room)
                pseudo = partial if length else addresses + protocol + room
                checksum = body + 6
        elif protocol == (1 if version == 4 else 58):
            _keep(data, out, body, 2, seen)
            if summed and have >= 4:
                pseudo = 0 if version == 4 else addresses + protocol + room
                checksum = body + 2
        if pseudo < 0:
            continue
        found = 0xFFFF - _fold(pseudo + _sum(out, body, stop))
        if found == 0 and protocol == 17:
            found = 0xFFFF  # 0 would mean that there is none
        _put(out, checksum, found)
        if partial >= 0 and found == _fold(partial) and found != 0:
            marks[row] |= PARTIAL_CHECKSUM  # by chance
    return done
