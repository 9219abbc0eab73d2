"""Display filters for Wireshark that show what was selected here.

Source: https://www.wireshark.org/docs/man-pages/wireshark-filter.html (sets and ``field#layer`` as of version 4.0).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_NOTHING = "frame.number == 0"  # a set must not be empty, and frames count from 1

# Layers are listed as in "eth:ethertype:ipv6:ipv6.hopopts:tcp:tls". In a tunnel and in an ICMP error the first TCP is
# not that of the outermost IP header, which is the one that counts here.
_TCP = 'frame.protocols matches "^(?:(?!ip:|ipv6:)[^:]+:)*(?:ip:|ipv6:(?:ipv6[.][^:]+:|ah:)*)?tcp(?::|$)"'
_IPV6 = 'frame.protocols matches "^(?:(?!ip:)[^:]+:)*ipv6(?::|$)"'
_NEXT_HEADERS = (
    *("ipv6.nxt#1", "ipv6.hopopts.nxt", "ipv6.routing.nxt", "ipv6.fraghdr.nxt", "ipv6.dstopts.nxt"),
    "ah.next_header",
)
_UDP6 = f"{_IPV6} and ({' or '.join(f'{name} == 17' for name in _NEXT_HEADERS)})"
_UDP4 = f"ip.proto#1 == 17 and not {_IPV6}"
# Wireshark puts fragments together, and shows the length of the whole in the last one
_NO_LATER_FRAGMENT = "not (ip.frag_offset#1 > 0 or ipv6.fraghdr.offset#1 > 0)"
_TLS = (  # as `tls_type` has it: a known content type and version, and a length that can be
    "tcp.payload#1[0] >= 0x14 and tcp.payload#1[0] <= 0x18 and tcp.payload#1[1] == 0x03 and tcp.payload#1[2] <= 0x04 "
    "and tcp.payload#1[3:2] <= 48:00 and (tcp.payload#1[3:2] > 00:00 or tcp.payload#1[0] == 0x17)"
)


def frames_filter(numbers: npt.ArrayLike) -> str:
    """Give the filter for frames by their numbers.

    Examples
    --------
    >>> frames_filter([1, 2, 3, 9, 7])
    'frame.number in {1..3, 7, 9}'
    >>> frames_filter([])
    'frame.number == 0'
    """
    ranges = _ranges(np.unique(np.asarray(numbers, np.int64)))
    return _member("frame.number", ranges) if ranges else _NOTHING


def lengths_filter(ranges: list[tuple[int, int]], protocol: str, *, tls_only: bool = False) -> str:
    """Give the filter for packets by ranges of TCP payload lengths, or of lengths of the IP packets of UDP.

    Examples
    --------
    >>> lengths_filter([(100, 104), (600, 600)], "udp")[-33:]
    'and ipv6.plen#1 in {60..64, 560})'
    """
    if not ranges:
        return _NOTHING
    if protocol == "udp":
        without_header = [(first - 40, last - 40) for first, last in ranges if last >= 40]
        of6 = [(max(first, 0), last) for first, last in without_header]
        parts = [f"({_UDP4} and {_member('ip.len#1', ranges)})"]
        parts += [f"({_UDP6} and {_member('ipv6.plen#1', of6)})"] if of6 else []
        return " or ".join(parts)
    whole = f"{_TCP} and {_NO_LATER_FRAGMENT} and {_member('tcp.len#1', ranges)}"
    return whole + (f" and {_TLS}" if tls_only else "")


def _ranges(values: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Join ascending numbers that follow each other: first and last of each run."""
    ends = np.flatnonzero(np.diff(values) != 1)
    first = values[np.concatenate([[0], ends + 1])] if len(values) else values
    last = values[np.concatenate([ends, [len(values) - 1]])] if len(values) else values
    return list(zip(first.tolist(), last.tolist(), strict=True))


def _member(field: str, ranges: list[tuple[int, int]]) -> str:
    listed = ", ".join(f"{first}" if first == last else f"{first}..{last}" for first, last in ranges)
    return f"{field} in {{{listed}}}"
