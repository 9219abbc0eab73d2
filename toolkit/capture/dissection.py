"""What Wireshark alone can give: which frames a display filter keeps, and what a field of any protocol says in each."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import union_categoricals

from toolkit.capture.tshark import BETWEEN, CUT, FilterError, WiresharkError, find_tshark, plain_file, read_fields
from toolkit.columns import Columns
from toolkit.errors import CaptureWarning
from toolkit.source import Source
from toolkit.trace import Trace


@dataclass(frozen=True)
class Dissection:
    """What tshark found in a capture.

    Attributes
    ----------
    display_filter
        The filter, or None.
    number
        Numbers of the frames that it keeps, ascending.
    captured
        How many bytes the file has of each.
    fields
        The values of each field, one a frame, missing where the frame does not have it.
    problems
        Where tshark stopped reading before the end.
    """

    display_filter: str | None
    number: npt.NDArray[np.uint32]
    captured: npt.NDArray[np.int32]
    fields: dict[str, pd.Categorical]
    problems: tuple[CaptureWarning, ...] = ()

    def lost(self, trace: Trace) -> list[CaptureWarning]:
        """Give what tshark says of packets that it did not come to, but for what reading them has said already."""
        said = trace.source.problems
        known = [problem for problem in self.problems if str(problem) in said or (said and CUT in problem.found)]
        note = "tshark stopped there: packets behind it are in no display filter and have no fields"
        return [
            CaptureWarning(problem.path, problem.expected, problem.found, note=note)
            for problem in self.problems
            if problem not in known
        ]

    def narrow(self, trace: Trace) -> Trace:
        """Keep the packets of a whole capture whose frames were found, with the fields as columns.

        Raises
        ------
        WiresharkError
            If a frame is not the one that tshark gives this number.
        """
        number = trace.column("number")
        if self.display_filter is not None:
            trace = trace.keep(np.isin(number, self.number), f"display_filter={self.display_filter!r}")
            number = trace.column("number")
        # a cut frame at the end may be in one and not in the other
        places = np.searchsorted(self.number, number)
        known = self.number[np.minimum(places, len(self.number) - 1)] == number if len(self.number) else places < 0
        rows = np.where(known, places, -1)
        # tshark does not count the byte with the direction that is before PPP
        ours = trace.column("frame_captured")[known] - (trace.column("link_type")[known] == 204)
        theirs = self.captured[places[known]]
        if (wrong := np.flatnonzero(ours != theirs)).size:
            i = wrong[0]
            raise WiresharkError(
                f"{trace.source.path}: frame {number[known][i]} has {ours[i]} bytes here and {theirs[i]} for tshark: "
                "they number the frames differently, so what tshark says of them cannot be told of our packets"
            )
        return trace.with_fields({name: values.take(rows, allow_fill=True) for name, values in self.fields.items()})


def field_names(fields: str | Iterable[str]) -> tuple[str, ...]:
    """Read the names of fields: one or several.

    Raises
    ------
    ValueError
        If one is twice there, or has the name of a column.
    """
    names = (fields,) if isinstance(fields, str) else tuple(fields)
    for name in names:
        if name in Columns._fields:
            raise ValueError(f"`fields` are of Wireshark, such as 'ip.src'; {name!r} is a column that every trace has")
        if not isinstance(name, str) or not name or names.count(name) > 1:
            raise ValueError(f"`fields` must be different names such as 'tls.handshake.type', got {name!r}")
    return names


def dissect(
    path: str | os.PathLike[str],
    display_filter: str | None = None,
    fields: tuple[str, ...] = (),
    max_decompressed: int | None = None,
) -> Dissection:
    """Ask tshark for the frames that a display filter keeps, and for fields of them.

    As Wireshark with the user's own settings would show them: with reassembly, unless that was switched off there.

    Raises
    ------
    WiresharkError
        If tshark is absent, too old or does not understand the filter or a field.
    CaptureError
        If the file cannot be opened or is no capture for tshark.
    """
    if display_filter is not None and not display_filter.strip():
        raise FilterError(f"`display_filter` must be a filter such as 'tcp.port == 443', got {display_filter!r}")
    tshark = find_tshark()
    numbers, captured = [np.empty(0, np.uint32)], [np.empty(0, np.int32)]
    values: dict[str, list[pd.Categorical]] = {name: [pd.Categorical([])] for name in fields}
    problems: list[CaptureWarning] = []
    asked = ("frame.number", "frame.cap_len", *fields)
    with plain_file(path, problems, max_decompressed) as plain:
        for chunk in read_fields(tshark, plain, asked, problems, display_filter=display_filter):
            numbers.append(chunk.iloc[:, 0].to_numpy().astype(np.uint32))
            # none of what is numbered like a packet and is none
            captured.append(chunk.iloc[:, 1].mask(chunk.iloc[:, 1] == "", "-1").to_numpy().astype(np.int32))
            for name in fields:
                codes, unique = pd.factorize(chunk[name].mask(chunk[name] == ""))
                texts = [text.replace(BETWEEN, ",") for text in unique]
                values[name].append(pd.Categorical.from_codes(*_merged(codes, texts)))
    found = {name: union_categoricals(parts) for name, parts in values.items()}
    return Dissection(display_filter, np.concatenate(numbers), np.concatenate(captured), found, tuple(problems))


# Protocols whose headers an anonymised capture still has, keywords of filters, and what of them is of the payload
_HEADERS = re.compile(r"(frame|eth|sll|vlan|mpls|ppp|arp|ip|ipv6|icmp|icmpv6|tcp|udp)(\.|$)")
_WORDS = "and or not xor in eq ne gt lt ge le any all contains matches bitwise_and len count upper lower true false"
_PAYLOAD = re.compile(r"(tcp|udp)\.(payload|segment|reassembled|segments?)")


def warn_of_zeros(source: Source, display_filter: str | None, fields: tuple[str, ...]) -> None:
    """Warn if a filter or fields ask for what is in the payload, where that became zeros."""
    words = re.sub(r"\"(\\.|[^\"])*\"|'[^']*'", "", display_filter or "")
    asked = [*re.findall(r"(?<![\w.:-])[a-zA-Z_][\w-]*(?:\.[\w-]+)*(?![\w.:-])", words), *fields]
    inside = [name for name in asked if name.lower() not in _WORDS.split()]
    inside = [name for name in inside if not _HEADERS.match(name) or _PAYLOAD.match(name)]
    if inside:
        note = f"what Wireshark says of {', '.join(dict.fromkeys(inside))} is of these zeros"
        table = source.payload_table
        found = f"zeros, of which {table} says what they were" if table else "nothing but zeros"
        warnings.warn(CaptureWarning(source.path, "payload for Wireshark to look into", found, note=note), stacklevel=3)


def _merged(codes: npt.NDArray[np.intp], texts: list[str]) -> tuple[npt.NDArray[np.intp], pd.Index]:
    """Merge texts that are the same once several values are joined by a comma."""
    places, unique = pd.factorize(np.array([*texts], dtype=object))
    return np.append(places, -1)[codes], pd.Index(unique, dtype=object)
