"""`Trace`: the packets of one or several captures, with their hosts, payload bytes and where they came from."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import union_categoricals

from toolkit.columns import Columns
from toolkit.errors import ToolkitError
from toolkit.hosts import Hosts, Network, Networks, parse_networks
from toolkit.selection import PROTOCOLS, nanoseconds_of, port_numbers, protocol_number
from toolkit.source import Source
from toolkit.storage import CaptureFile, Storage
from toolkit.wireshark_filters import frames_filter

if TYPE_CHECKING:
    from toolkit.capture.health import Health

Moment: TypeAlias = "str | pd.Timestamp | pd.Timedelta"
Array: TypeAlias = npt.NDArray[Any]


class NoClientError(ToolkitError, ValueError):
    """None of the client networks holds a host of the trace."""


class Trace:
    """Packets in the order of their file, immutable. Made by `toolkit.read`, `Trace.from_packets` or `toolkit.concat`.

    Selecting gives a new `Trace` which shares the bytes of the capture: however small, it keeps the file open (or, of a
    compressed capture, all bytes in memory) while it lives.

    Attributes
    ----------
    sources
        Where the packets came from.
    history
        The operations that led here, as text.

    Examples
    --------
    >>> import toolkit
    >>> trace = toolkit.load_example("obfs4")
    >>> data = trace.select(protocol="tcp", payload_only=True)
    >>> len(data) < len(trace)
    True
    >>> data.packets["payload_length"].min()
    np.int32(11)
    """

    def __init__(
        self,
        columns: Columns,
        hosts: Hosts,
        data: tuple[Array | CaptureFile, ...],
        sources: tuple[Source, ...],
        *,
        history: tuple[str, ...] = (),
        kept_entropy: Array | None = None,
        fields: Mapping[str, pd.Categorical] | None = None,
    ) -> None:
        self._columns = columns
        self._fields = dict(fields or {})
        self._hosts = hosts
        self._data = data
        self._kept_entropy = kept_entropy
        self.sources = sources
        self.history = history

    def __len__(self) -> int:
        return len(self._columns.time)

    def __repr__(self) -> str:
        names = ", ".join(source.name for source in self.sources[:3]) + (", ..." if len(self.sources) > 3 else "")
        return (
            f"<Trace {names}: {len(self):,} packets, {len(self._hosts):,} hosts, {self.duration.total_seconds():.3f} s>"
        )

    @property
    def source(self) -> Source:
        """The one file the packets came from.

        Raises
        ------
        ToolkitError
            If they came from several (after `toolkit.concat`): use `sources`.
        """
        if len(self.sources) != 1:
            raise ToolkitError(f"the trace has {len(self.sources)} sources: use `trace.sources`")
        return self.sources[0]

    def column(self, name: str) -> Array:
        """Give one column as a read-only array, without building the DataFrame (times: int64 nanoseconds since 1970).

        `src` and `dst` are numbers into `hosts`.
        """
        if name not in Columns._fields:
            raise ValueError(f"no column {name!r}: there are {', '.join(Columns._fields)}")
        column: Array = getattr(self._columns, name)
        return column

    @property
    def columns(self) -> Columns:
        """All columns, as the kernels take them."""
        return self._columns

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of Wireshark that were asked for in `toolkit.read`: columns of `packets` by their own names."""
        return tuple(self._fields)

    def with_fields(self, fields: Mapping[str, pd.Categorical]) -> Trace:
        """Give the same packets with more columns of text, one value a packet (missing: NaN)."""
        for name, values in fields.items():
            if len(values) != len(self):
                raise ValueError(f"field {name!r} must have one value a packet, {len(self)}, got {len(values)}")
        both = {**self._fields, **fields}
        history, kept = self.history, self._kept_entropy
        return Trace(
            self._columns, self._hosts, self._data, self.sources, history=history, kept_entropy=kept, fields=both
        )

    @property
    def packets(self) -> pd.DataFrame:
        """One row a packet, in file order (see DESIGN, "data model"); it shares the bytes of the columns.

        What is done to the DataFrame does not change the trace: pandas 3 copies what is written to, pandas 2 refuses to
        write into a column (add one instead, or take a ``.copy()``).
        """
        return self._frame.copy(deep=False)

    @cached_property
    def _frame(self) -> pd.DataFrame:
        columns: dict[str, Any] = dict(self._columns._asdict())
        columns["time"] = pd.DatetimeIndex(self._columns.time, dtype="datetime64[ns, UTC]", copy=False)
        hosts = pd.Index(self.hosts, dtype=object)
        for end in ("src", "dst"):
            columns[end] = pd.Categorical.from_codes(columns[end], categories=hosts)
        hidden = ("frame_offset", "payload_start", "link_type")  # of the frame, of no use without its bytes
        shown = {name: value for name, value in columns.items() if name not in hidden}
        return pd.DataFrame(shown | self._fields, copy=False)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The unique addresses, in order of first appearance in the capture."""
        return self._hosts.names

    @property
    def host_count(self) -> int:
        """How many `hosts` there are, without writing out their names."""
        return len(self._hosts)

    def host_families(self) -> list[int]:
        """4 or 6 for each of `hosts`."""
        families: list[int] = self._hosts.family.tolist()
        return families

    def top_hosts(self, n: int = 10) -> pd.DataFrame:
        """Give the busiest hosts: packets sent and received, and the bytes of their IP packets.

        A packet counts for both of its ends; `share` is of all packets.
        """
        size = len(self._hosts)
        ends = [(self._columns.src, "sent"), (self._columns.dst, "received")]
        table: dict[str, Array] = {name: np.bincount(codes, minlength=size) for codes, name in ends}
        for codes, name in ends:
            table[f"bytes_{name}"] = np.bincount(codes, weights=self._columns.ip_length, minlength=size).astype(
                np.int64
            )
        both = table["sent"] + table["received"]
        self_sent = np.bincount(self._columns.src[self._columns.src == self._columns.dst], minlength=size)
        order = np.argsort(-both, kind="stable")[:n]
        frame = pd.DataFrame({name: values[order] for name, values in table.items()})
        frame["share"] = (both - self_sent)[order] / max(len(self), 1)
        frame.index = pd.Index([self.hosts[i] for i in order], name="host", dtype=object)
        return frame

    def client_rank(self, clients: Networks, *, missing_ok: bool = False) -> tuple[npt.NDArray[np.int32], int]:
        """Give for each host the position of the first client network that holds it, and the number of networks.

        Raises
        ------
        NoClientError
            If no network holds a host (and there are packets at all), unless `missing_ok`.
        """
        networks = parse_networks(clients)
        rank = self._hosts.rank(networks)
        if not missing_ok and len(self) and not (rank < len(networks)).any():
            raise NoClientError(self._no_client(networks))
        return rank, len(networks)

    def _no_client(self, networks: Sequence[Network]) -> str:
        top = self.top_hosts(5)
        counts = zip(top.index, (top["sent"] + top["received"]).tolist(), strict=True)
        busiest = ", ".join(f"{host} ({packets:,} packets)" for host, packets in counts)
        wanted = ", ".join(str(network) for network in networks[:5]) + (", ..." if len(networks) > 5 else "")
        return f"no packet has a client in {wanted}; the busiest hosts are {busiest}"

    @cached_property
    def _bounds(self) -> tuple[int, int]:
        time = self._columns.time
        return (int(time.min()), int(time.max())) if len(time) else (0, 0)

    @property
    def start(self) -> pd.Timestamp:
        """Time of the earliest packet (NaT without packets)."""
        return pd.Timestamp(self._bounds[0], tz="UTC") if len(self) else pd.NaT  # type: ignore[return-value]

    @property
    def stop(self) -> pd.Timestamp:
        """Time of the latest packet (NaT without packets)."""
        return pd.Timestamp(self._bounds[1], tz="UTC") if len(self) else pd.NaT  # type: ignore[return-value]

    @property
    def duration(self) -> pd.Timedelta:
        """From the earliest packet to the latest."""
        # a broken clock can put more than the 292 years of a Timedelta between two packets
        return pd.Timedelta(min(self._bounds[1] - self._bounds[0], pd.Timedelta.max.value), unit="ns")

    @cached_property
    def storage(self) -> Storage:
        """The bytes of the captures, for what looks at payloads; `frame_offset` counts through all of them."""
        return Storage(self._data)

    def payload(self, i: int) -> memoryview:
        """Give the payload bytes of packet `i` that the file holds, read-only.

        They are read from the file; of a compressed capture they are in memory, and are not copied.

        Parameters
        ----------
        i
            Row, from 0; negative from the end.

        Raises
        ------
        CaptureError
            If the file was written to since it was opened. It may have been renamed, replaced or deleted.
        """
        captured = int(self._columns.payload_captured[i])
        if not captured:  # it may lie at the very end of the last buffer
            return memoryview(b"")
        return self.storage.read(int(self._columns.frame_offset[i]), int(self._columns.payload_start[i]), captured)

    @property
    def kept_entropy(self) -> Array | None:
        """Entropy of the payloads whose bytes are not in the trace any more (NaN for the others); None if all are.

        `toolkit.anonymise` keeps it, so that `toolkit.payload_entropy` is what it was.
        """
        return self._kept_entropy

    def __getitem__(self, rows: slice | npt.ArrayLike) -> Trace:
        """Select rows by a boolean mask (one value a packet), a slice or an array of row numbers.

        A mask that is a Series goes by its index if that has the row numbers in another order, as after sorting
        `packets`.

        Raises
        ------
        IndexError
            If a mask has another length than the trace, or a row number is out of range.
        TypeError
            For a single number: ``trace.packets.iloc[i]`` gives that packet.
        """
        if isinstance(rows, slice):
            bounds = [rows.start, rows.stop] if rows.step is None else [rows.start, rows.stop, rows.step]
            return self._take(rows, "rows " + ":".join("" if bound is None else str(bound) for bound in bounds))
        index = np.asarray(self._by_row(rows))
        if index.ndim != 1:
            raise TypeError(
                f"rows must be a mask, a slice or a list of row numbers, got {rows!r} "
                "(`trace.packets.iloc[i]` gives one packet, `trace.packets[name]` one column)"
            )
        if index.dtype == bool:
            if len(index) != len(self):
                raise IndexError(f"a mask must have one value a packet, {len(self)}, got {len(index)}")
            return self._take(index, "mask")
        if len(index) and not np.issubdtype(index.dtype, np.integer):
            raise TypeError(f"row numbers must be integers, got {index.dtype}")
        return self._take(index.astype(np.intp), "rows by number")

    def _by_row(self, mask: Any) -> Any:
        """Bring a Series of booleans made from a sorted `packets` back into the order of the rows."""
        if isinstance(mask, pd.Series) and mask.dtype == bool and pd.api.types.is_integer_dtype(mask.index.dtype):
            rows = pd.RangeIndex(len(self))
            if not mask.index.equals(rows):
                ordered = mask.sort_index()
                if ordered.index.equals(rows):
                    return ordered
        return mask

    def _take(self, rows: Any, operation: str) -> Trace:
        columns = self._columns.take(rows)
        seen = np.zeros(len(self._hosts), bool)
        seen[columns.src] = True
        seen[columns.dst] = True
        hosts = self._hosts
        if not seen.all():  # keep only the hosts that are left
            renumber = (np.cumsum(seen) - 1).astype(np.int32)
            columns = columns._replace(src=renumber[columns.src], dst=renumber[columns.dst])
            columns.freeze()
            hosts = hosts.take(np.flatnonzero(seen))
        history = (*self.history, f"{operation}: {len(columns.time)} of {len(self)} packets")
        kept = None if self._kept_entropy is None else self._kept_entropy[rows]
        fields = {name: values[rows].remove_unused_categories() for name, values in self._fields.items()}
        return Trace(columns, hosts, self._data, self.sources, history=history, kept_entropy=kept, fields=fields)

    def keep(self, mask: npt.NDArray[np.bool_], operation: str) -> Trace:
        """Select by a mask as ``trace[mask]`` does, under the name `operation` in the history."""
        return self._take(mask, operation)

    def with_time(self, time: npt.NDArray[np.int64], operation: str) -> Trace:
        """Give the same packets with other times."""
        columns = self._columns._replace(time=time)
        columns.freeze()
        history = (*self.history, operation)
        kept, fields = self._kept_entropy, self._fields
        return Trace(columns, self._hosts, self._data, self.sources, history=history, kept_entropy=kept, fields=fields)

    def select(
        self,
        *,
        clients: Networks | None = None,
        protocol: str | int | None = None,
        port: int | Iterable[int] | None = None,
        start: Moment | None = None,
        stop: Moment | None = None,
        payload_only: bool = False,
        where: str | Callable[[pd.DataFrame], Any] | None = None,
    ) -> Trace:
        """Keep the packets that meet every condition given.

        Parameters
        ----------
        clients
            Addresses or networks, one of which must hold the source or the destination.
        protocol
            ``"tcp"``, ``"udp"``, ``"icmp"``, ... or an IP protocol number.
        port
            Source or destination port, or several of which one must match.
        start, stop
            Half-open range of time: an absolute time (UTC if it names no zone) or a duration since the earliest packet
            of this trace (``"60s"``, a `pandas.Timedelta`).
        payload_only
            Keep only packets with at least one byte of payload on the wire.
        where
            Anything else: an expression over the columns of `packets`, as of `pandas.DataFrame.eval` (``@name`` is a
            variable of yours), or a function from that DataFrame to a boolean mask.

        Raises
        ------
        NoClientError
            If no client network holds a host of the trace.
        ValueError, TypeError
            For a condition that cannot be understood.

        Examples
        --------
        >>> import toolkit
        >>> trace = toolkit.load_example("obfs4")
        >>> minute = trace.select(clients="10.77.0.0/24", protocol="tcp", start="60s", stop="120s")
        >>> minute.duration < pd.Timedelta("60s")
        True
        >>> len(trace.select(where="payload_length > 1000 and ttl > 60")) > 0
        True
        """
        keep = np.ones(len(self), bool)
        said = []
        if clients is not None:
            networks = parse_networks(clients)
            inside = self.client_rank(networks)[0] < len(networks)
            keep &= inside[self._columns.src] | inside[self._columns.dst]
            said.append(f"clients={[str(network) for network in networks]}")
        if protocol is not None:
            keep &= self._columns.protocol == protocol_number(protocol)
            said.append(f"protocol={protocol!r}")
        if port is not None:
            ports = np.array(port_numbers(port), np.uint16)
            keep &= np.isin(self._columns.src_port, ports) | np.isin(self._columns.dst_port, ports)
            keep &= np.isin(self._columns.protocol, (6, 17))
            said.append(f"port={ports.tolist()}")
        if start is not None:
            keep &= self._columns.time >= nanoseconds_of("start", start, self._bounds[0])
            said.append(f"start={start!s}")
        if stop is not None:
            keep &= self._columns.time < nanoseconds_of("stop", stop, self._bounds[0])
            said.append(f"stop={stop!s}")
        if payload_only:
            keep &= self._columns.payload_length > 0
            said.append("payload_only=True")
        if where is not None:
            # `level`: the variables in an expression are those of who called us
            found = self.packets.eval(where, level=1) if isinstance(where, str) else where(self.packets)
            mask = np.asarray(self._by_row(found))
            if mask.dtype != bool or mask.shape != keep.shape:
                raise ValueError(f"`where` must give one boolean a packet, got {mask.dtype} of shape {mask.shape}")
            keep &= mask
            said.append(f"where={where!r}" if isinstance(where, str) else "where=<function>")
        return self._take(keep, f"select({', '.join(said)})")

    def health(self) -> Health:
        """Look for what would bias an analysis: cut packets, offload, a clock that goes back, one-sided connections.

        See `toolkit.capture.health`.
        """
        from toolkit.capture.health import check  # it is made of traces

        return check(self)

    def to_wireshark_filter(self) -> str:
        """Give a display filter that shows just these packets of the capture in Wireshark, or in ``tshark -Y``.

        It lists frame numbers, so it is for this capture only. A filter of more than some 100,000 characters (20,000
        packets far apart) is too long for a command line.

        Raises
        ------
        ToolkitError
            If the packets come from several captures (give the filter of each before `toolkit.concat`, or write them
            into one by `to_pcap`), or from no file.

        Examples
        --------
        >>> import toolkit
        >>> trace = toolkit.load_example("obfs4")
        >>> trace[[0, 1, 2, 9]].to_wireshark_filter()
        'frame.number in {1..3, 10}'
        """
        if len(self.sources) != 1:
            raise ToolkitError(
                f"the packets come from {len(self.sources)} captures, whose frames have no numbers in common: take the "
                "filter of each trace before `toolkit.concat`, or write the packets into one capture (`to_pcap`), read "
                "that and take its filter"
            )
        if not self.source.path:
            raise ToolkitError("the packets come from no file: there are no frames that Wireshark could show")
        return frames_filter(self._columns.number)

    @classmethod
    def from_packets(cls, packets: Iterable[dict[str, Any]]) -> Trace:
        """Take packets as the dictionaries of the original research code. See `toolkit.capture.dictionaries`."""
        from toolkit.capture.dictionaries import from_packets

        return from_packets(packets)

    def to_packets(self) -> list[dict[str, Any]]:
        """Give packets as the dictionaries of the original research code. See `toolkit.capture.dictionaries`."""
        from toolkit.capture.dictionaries import to_packets

        return to_packets(self)

    def to_pcap(self, path: str | os.PathLike[str], *, format: Literal["pcap", "pcapng"] | None = None) -> Path:
        """Write the frames of the packets, byte for byte. See `toolkit.capture.writing`."""
        from toolkit.capture.writing import to_pcap  # it is made of traces

        return to_pcap(self, path, format=format)

    def summary(self) -> pd.Series[Any]:
        """Give the trace in a few numbers: packets, hosts, times, protocols, bytes."""
        protocol, length = self._columns.protocol, self._columns.payload_length
        names = {number: name.upper() for name, number in PROTOCOLS.items()}
        counts = np.bincount(protocol, minlength=1)
        rows: dict[str, object] = {
            "captures": ", ".join(source.name for source in self.sources),
            "format": ", ".join(dict.fromkeys(f"{s.format} {s.compression}".strip() for s in self.sources)),
            "packets": f"{len(self):,}",
            "hosts": f"{len(self._hosts):,}",
            "first packet": str(self.start),
            "duration": f"{self.duration.total_seconds():,.3f} s",
            "protocols": ", ".join(
                f"{names.get(n, f'protocol {n}')} {counts[n]:,}"
                for n in np.argsort(-counts, kind="stable").tolist()
                if counts[n]
            ),
            "payload bytes": f"{int(length.sum(dtype=np.int64)):,}",
        }
        return pd.Series(rows, name="summary")

    def _repr_html_(self) -> str:
        summary = self.summary().to_frame().to_html(header=False, border=0)
        hosts = self.top_hosts(8).to_html(border=0, float_format="{:.3f}".format)
        return (
            f"<h4>{html.escape(repr(self)[1:-1])}</h4>{summary}"
            f"<h5>Busiest hosts</h5>{hosts}<h5>Health</h5>{self.health()._repr_html_()}"
        )


def concat(traces: Iterable[Trace]) -> Trace:
    """Join traces, one after the other, hosts in common. Packets are not sorted by time.

    Parts of one capture share its bytes as before, and its `Source` is there once.

    Raises
    ------
    ValueError
        If there is no trace, or they have not the same `fields`.

    Examples
    --------
    >>> import toolkit
    >>> both = toolkit.concat([toolkit.load_example("obfs4"), toolkit.load_example("https")])
    >>> [source.name for source in both.sources]
    ['obfs4.pcap', 'https.pcap']
    """
    parts = list(traces)
    if not parts:
        raise ValueError("`traces` must hold at least one trace, got none")
    for part in parts:
        if set(part.fields) != set(parts[0].fields):
            raise ValueError(f"traces must have the same fields, got {parts[0].fields} and {part.fields}")
    words = np.concatenate([part._hosts.words for part in parts])
    family = np.concatenate([part._hosts.family for part in parts])
    keys = np.rec.fromarrays([words[:, 0], words[:, 1], family])
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int32)  # keep the order of first appearance
    rank[np.argsort(first)] = np.arange(len(first), dtype=np.int32)
    renumber = rank[inverse]
    hosts = Hosts(words, family).take(np.sort(first))
    tables = []
    data: dict[int, tuple[Array | CaptureFile, int]] = {}  # each buffer once, and where it starts
    start_host = base = 0
    for part in parts:
        here = renumber[start_host : start_host + len(part._hosts)]
        columns = part._columns
        for piece in part._data:
            if id(piece) not in data:
                data[id(piece)] = piece, base
                base += len(piece)
        offset = columns.frame_offset
        if part._data:
            bases = part.storage.bases
            moved = np.array([data[id(piece)][1] for piece in part._data], np.int64) - bases[:-1]
            # a packet without payload may lie at the very end of the last buffer
            offset = offset + moved[np.searchsorted(bases[1:-1], offset, side="right")]
        tables.append(columns._replace(src=here[columns.src], dst=here[columns.dst], frame_offset=offset))
        start_host += len(part._hosts)
    columns = Columns.concatenate(tables)
    columns.freeze()
    kept = None
    if any(part._kept_entropy is not None for part in parts):
        kept = np.concatenate([np.full(len(p), np.nan) if p._kept_entropy is None else p._kept_entropy for p in parts])
    sources = {id(source): source for part in parts for source in part.sources}
    # once for the windows of one trace, but for two that went the same way, both ways in full
    steps = [step for history in dict.fromkeys(part.history for part in parts) for step in history]
    return Trace(
        columns,
        hosts,
        tuple(piece for piece, _ in data.values()),
        tuple(sources.values()),
        history=(*steps, f"concat of {len(parts)} traces: {len(columns.time)} packets"),
        kept_entropy=kept,
        fields={name: union_categoricals([part._fields[name] for part in parts]) for name in parts[0].fields},
    )
