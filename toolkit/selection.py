"""The conditions of `Trace.select`, read: protocols, ports, moments."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

PROTOCOLS = {"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "icmpv6": 58, "ospf": 89, "sctp": 132}
"""IP protocol numbers by the names that `Trace.select` takes (any number may be given as well)."""

_NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


def nanoseconds_of(name: str, moment: Any, start: int) -> int:
    """Read the option `name`: an absolute time, or a duration since `start`, in nanoseconds since 1970."""
    wanted = f"`{name}` must be a time such as '2020-01-01 12:00' or a duration such as '60s', got {moment!r}"
    if isinstance(moment, timedelta | np.timedelta64):
        found: pd.Timestamp | pd.Timedelta = pd.Timedelta(moment)
    elif isinstance(moment, bool | int | float | np.number):
        raise TypeError(wanted)
    elif isinstance(moment, str):
        found = _moment(moment, wanted)
    else:
        found = pd.Timestamp(moment)
    if pd.isna(found):
        raise ValueError(wanted)
    # in whole numbers, since an end in the year 9999 is more than 64 bits of nanoseconds
    value = int(found.asm8.astype(np.int64)) * _NANOSECONDS[found.unit]
    return value if isinstance(found, pd.Timestamp) else start + value


def is_number(text: str) -> bool:
    """Whether a text is a number without a unit, which pandas would take for nanoseconds."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def has_year(text: str) -> bool:
    """Whether a text may be a whole date; pandas takes "12:00" for noon of the day on which it is asked."""
    return re.search(r"\d{4}", text) is not None


def _moment(text: str, wanted: str) -> pd.Timestamp | pd.Timedelta:
    if is_number(text):
        raise ValueError(wanted)
    try:
        return pd.Timedelta(text)
    except ValueError:
        if not has_year(text):
            raise ValueError(wanted) from None
    try:
        return pd.Timestamp(text)
    except ValueError:
        raise ValueError(wanted) from None


def protocol_number(protocol: str | int) -> int:
    """Read an IP protocol: a name of `PROTOCOLS` or a number."""
    if isinstance(protocol, str):
        if protocol.lower() not in PROTOCOLS:
            raise ValueError(f"`protocol` must be a number or one of {', '.join(PROTOCOLS)}, got {protocol!r}")
        return PROTOCOLS[protocol.lower()]
    if isinstance(protocol, bool) or not isinstance(protocol, int | np.integer) or not 0 <= protocol <= 255:
        raise ValueError(f"`protocol` must be a name or a number from 0 to 255, got {protocol!r}")
    return int(protocol)


def port_numbers(port: int | Iterable[int]) -> list[int]:
    """Read one port or several."""
    ports = [port] if isinstance(port, int | np.integer) else list(port)
    for value in ports:
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 0 <= value <= 65_535:
            raise ValueError(f"`port` must be from 0 to 65535, got {value!r}")
    return [int(value) for value in ports]
