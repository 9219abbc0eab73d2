"""Clusters of payload lengths: exact flat-kernel mean shift on (length, count), at the cost of counting."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit.errors import ToolkitError
from toolkit.meanshift import LONGEST, mean_shift
from toolkit.tls import without_tls_bytes
from toolkit.trace import Trace
from toolkit.wireshark_filters import lengths_filter

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
TransportProtocol: TypeAlias = Literal["tcp", "udp"]

_COLUMNS = {"tcp": (6, "payload_length"), "udp": (17, "ip_length")}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LengthCounts:
    """How many packets have which length.

    Attributes
    ----------
    unique_lengths
        The distinct lengths, ascending, in bytes.
    counts
        Packets of each.
    left_out_below, left_out_above
        Packets left out because they are shorter than `min_length`, or longer than `max_length`.
    min_length, max_length
        The limits that were applied; ``max_length=None`` for none.
    quantity
        What the lengths are, for axis labels: ``"TCP payload length"``, ``"IP length of UDP packets"``, ...
    protocol, tls_only
        Which packets of a trace were counted; ``protocol=None`` for lengths that came from no trace.
    tls_bytes
        Whether the bytes by which TLS records are known are in the capture, as they are not in an anonymised one.
    """

    unique_lengths: Ints
    counts: Ints
    left_out_below: int
    left_out_above: int
    min_length: int = field(default=0, repr=False)
    max_length: int | None = field(default=None, repr=False)
    quantity: str = field(default="length", repr=False)
    protocol: TransportProtocol | None = field(default=None, repr=False)
    tls_only: bool = field(default=False, repr=False)
    tls_bytes: bool = field(default=True, repr=False)

    def __repr__(self) -> str:
        return (
            f"LengthCounts({len(self.unique_lengths):,} lengths of {self.counts.sum():,} packets, "
            f"{self.left_out_share:.1%} left out)"
        )

    @cached_property
    def total_packets(self) -> int:
        """All packets of the chosen protocol, left out or not."""
        return int(self.counts.sum()) + self.left_out_below + self.left_out_above

    @property
    def left_out_share(self) -> float:
        """Share of `total_packets` that was left out for its length, 0 to 1."""
        return (self.left_out_below + self.left_out_above) / max(self.total_packets, 1)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class LengthClusters(LengthCounts):
    """Clusters of lengths, by packets descending, then by their smallest length. A label is a place in that order.

    Attributes
    ----------
    bandwidth
        Radius of the window whose mean was followed, in bytes.
    centres
        Where the mean shift ended, in bytes: the mean of the window there, not of the cluster.
    packets
        Packets of each cluster.
    labels
        The cluster of each of `unique_lengths`.
    unique_lengths, counts, left_out_below, left_out_above, min_length, max_length, quantity
        As in `LengthCounts`.
    protocol, tls_only, tls_bytes
        As in `LengthCounts`.
    """

    bandwidth: float
    centres: Floats
    packets: Ints
    labels: npt.NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.centres)

    def __repr__(self) -> str:
        return (
            f"LengthClusters({len(self):,} clusters of {self.counts.sum():,} packets, "
            f"bandwidth={self.bandwidth:g} bytes, {self.left_out_share:.1%} left out)"
        )

    def _repr_html_(self) -> str:
        table = self.to_frame().head(10).to_html(float_format="{:.3f}".format)
        return f"<p><code>{self!r}</code></p>{table}"

    @cached_property
    def lengths(self) -> tuple[Ints, ...]:
        """The distinct lengths of each cluster, ascending, in bytes."""
        ordered = self.unique_lengths[np.argsort(self.labels, kind="stable")]
        ends = np.bincount(self.labels, minlength=len(self)).cumsum()
        return tuple(np.split(ordered, ends[:-1])) if len(self) else ()

    def label_of(self, lengths: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """Give the cluster of each length, -1 for lengths that were left out or did not occur.

        Examples
        --------
        >>> cluster_lengths([100, 100, 101, 600]).label_of([600, 100, 0, 99])
        array([ 1,  0, -1, -1])
        """
        asked = _integers(lengths)
        beyond = int(self.unique_lengths.max(initial=0)) + 1
        table = np.full(beyond + 1, -1, np.intp)
        table[self.unique_lengths] = self.labels
        labels: npt.NDArray[np.intp] = table[np.minimum(asked, np.int64(beyond))]
        return labels

    def to_wireshark_filter(self, label: int | None = None) -> str:
        """Give a display filter for the packets of a cluster, by their lengths; of all clusters by default.

        A range of lengths for each cluster, for the packets that were counted: TCP by its payload or UDP by its IP
        length, of the outermost IP header, and only those that start a TLS record if it was so. Which packets were
        selected before is not known here: ``f"({trace.to_wireshark_filter()}) and ({filter})"`` has both.

        Wireshark tells less of some packets, which this filter does not show: IPv6 packets whose length is 0, as
        offload leaves it; first fragments of TCP; with `tls_only`, TCP resets. Of a packet
        whose lengths contradict each other (`Trace.health`: malformed) it may tell another length: it may be missed, or
        shown in excess. Frame numbers have no such gaps: with ``part = trace.select(protocol="tcp")``,
        ``part[clusters.label_of(part.column("payload_length")) == label].to_wireshark_filter()``.

        Raises
        ------
        ValueError
            If the lengths came from no trace, or there is no such cluster.
        ToolkitError
            If they are of TLS records only, in an anonymised capture: Wireshark cannot know these by their bytes.

        Examples
        --------
        >>> import toolkit
        >>> clusters = cluster_lengths(toolkit.load_example("obfs4"), bandwidth=3)
        >>> clusters.to_wireshark_filter(0)[-27:]
        'and tcp.len#1 in {691..696}'
        """
        if self.protocol is None:
            raise ValueError("the lengths came from no trace: which packets they are of is not known")
        if label is not None and (not isinstance(label, int | np.integer) or not 0 <= label < len(self)):
            raise ValueError(f"`label` must be from 0 to {len(self) - 1}, got {label!r}")
        if not self.tls_bytes:
            raise ToolkitError(
                "the capture was anonymised, its TLS records are zeros to Wireshark. Give the numbers of the frames "
                "instead: `part = trace.select(where='tls_type > 0')`, "
                "`part[clusters.label_of(part.column('payload_length')) == label].to_wireshark_filter()`"
            )
        chosen = self.lengths if label is None else self.lengths[label : label + 1]
        ranges = sorted((int(inside[0]), int(inside[-1])) for inside in chosen)
        return lengths_filter(ranges, self.protocol, tls_only=self.tls_only)

    def to_frame(self) -> pd.DataFrame:
        """Give one row a cluster, with its label as the index; `share` is that of the packets not left out.

        Examples
        --------
        >>> cluster_lengths([100, 100, 101, 600]).to_frame()[["min_length", "max_length", "packets", "share"]]
                 min_length  max_length  packets  share
        cluster
        0               100         101        3   0.75
        1               600         600        1   0.25
        """
        return pd.DataFrame(
            {
                "centre": self.centres,
                "min_length": np.array([inside[0] for inside in self.lengths], np.int64),
                "max_length": np.array([inside[-1] for inside in self.lengths], np.int64),
                "distinct_lengths": np.bincount(self.labels, minlength=len(self)),
                "packets": self.packets,
                "share": self.packets / max(int(self.counts.sum()), 1),
            },
            index=pd.RangeIndex(len(self), name="cluster"),
        )


def length_counts(
    trace_or_lengths: Trace | LengthCounts | npt.ArrayLike,
    *,
    protocol: TransportProtocol = "tcp",
    tls_only: bool = False,
    min_length: int = 1,
    max_length: int | None = 1300,
) -> LengthCounts:
    """Count the packets of each length: what is left to do afterwards no longer depends on how many packets there are.

    Parameters
    ----------
    trace_or_lengths
        A `Trace`, or a one-dimensional array or Series of integer lengths in bytes. A `LengthCounts` is given back as
        it is, and takes no other options: they were applied when it was counted.
    protocol
        ``"tcp"``: payload lengths. ``"udp"``: lengths of the whole IP packet. For a `Trace` only.
    tls_only
        Only packets whose payload starts with a TLS record. For a `Trace` and TCP only.
    min_length, max_length
        Shortest and longest length kept, in bytes; ``max_length=None`` keeps all. The default leaves out empty
        acknowledgements, and full segments.

    Returns
    -------
    LengthCounts
        Distinct lengths, their counts, and how many packets were left out.

    Raises
    ------
    ValueError
        If an option is out of range or does not fit the input, or if a length is negative, or longer than 1,048,576
        bytes and kept.
    TypeError
        If the lengths are not integers: "lengths must be integers, got float64".

    Examples
    --------
    >>> counted = length_counts([0, 0, 40, 52, 52, 1448])
    >>> counted
    LengthCounts(2 lengths of 3 packets, 50.0% left out)
    >>> counted.unique_lengths, counted.counts, counted.left_out_below, counted.left_out_above
    (array([40, 52]), array([1, 2]), 2, 1)
    """
    if protocol not in _COLUMNS:
        raise ValueError(f"`protocol` must be 'tcp' or 'udp', got {protocol!r}")
    if tls_only and protocol != "tcp":
        raise ValueError(f"`tls_only` is for TCP, got protocol={protocol!r}")
    check_integer("min_length", min_length, 0)
    if max_length is not None:
        check_integer("max_length", max_length, min_length)
    if isinstance(trace_or_lengths, LengthCounts):
        if (protocol, tls_only, min_length, max_length) != ("tcp", False, 1, 1300):
            raise ValueError("counted lengths take no filters: give them to `length_counts`")
        return trace_or_lengths
    tls_bytes = True
    if isinstance(trace_or_lengths, Trace):
        number, name = _COLUMNS[protocol]
        keep = trace_or_lengths.column("protocol") == number
        if tls_only:
            keep &= trace_or_lengths.column("tls_type") != 0
            tls_bytes = not (without_tls_bytes(trace_or_lengths) & keep).any()
        values = _integers(trace_or_lengths.column(name)[keep])
        quantity = "IP length of UDP packets" if protocol == "udp" else "TCP payload length"
        quantity += ", TLS records only" if tls_only else ""
    else:
        if protocol != "tcp" or tls_only:
            raise ValueError("`protocol` and `tls_only` need a Trace, got lengths")
        values = _integers(trace_or_lengths)
        quantity = "length"

    huge = 0
    if len(values) and values.max() > LONGEST:
        if max_length is None or max_length > LONGEST:
            raise ValueError(f"lengths must be at most {LONGEST:,} bytes, got {values.max():,}: give a `max_length`")
        huge = int(np.count_nonzero(values > LONGEST))
        values = values[values <= LONGEST]
    counts = np.bincount(values)
    end = len(counts) if max_length is None else max_length + 1
    kept = np.flatnonzero(counts[min_length:end]) + min_length
    return LengthCounts(
        unique_lengths=_read_only(kept.astype(np.int64)),
        counts=_read_only(counts[kept].astype(np.int64)),
        left_out_below=int(counts[:min_length].sum()),
        left_out_above=int(counts[end:].sum()) + huge,
        min_length=min_length,
        max_length=max_length,
        quantity=quantity,
        protocol=protocol if isinstance(trace_or_lengths, Trace) else None,
        tls_only=tls_only,
        tls_bytes=tls_bytes,
    )


def cluster_lengths(
    trace_or_lengths: Trace | LengthCounts | npt.ArrayLike,
    *,
    bandwidth: float = 3.0,
    protocol: TransportProtocol = "tcp",
    tls_only: bool = False,
    min_length: int = 1,
    max_length: int | None = 1300,
) -> LengthClusters:
    """Cluster lengths by flat-kernel mean shift.

    The clusters are those of ``sklearn.cluster.MeanShift(bandwidth=bandwidth, bin_seeding=True)`` on
    ``(length, 0)``, found on (length, count). From each distinct value of ``float32(round(length / bandwidth)) *
    bandwidth`` a centre moves to the mean of all lengths within `bandwidth` of it, until it moves by at most
    ``0.001 * bandwidth``. Centres are ranked by packets within `bandwidth`, then by position, both descending; those
    within `bandwidth` of a better one are dropped. Each length goes to the nearest centre, at an exact tie to the
    better ranked (which scikit-learn leaves to the order of its tree). Centres left with no length are dropped.

    Source: D. Comaniciu and P. Meer, "Mean shift: a robust approach toward feature space analysis", IEEE Transactions
    on Pattern Analysis and Machine Intelligence 24(5), 603-619, 2002.

    Parameters
    ----------
    trace_or_lengths
        A `Trace`, lengths in bytes, or a `LengthCounts`: to try many bandwidths, count once.
    bandwidth
        Radius of the window in bytes, more than 0.
    protocol, tls_only, min_length, max_length
        Which packets, as in `length_counts`.

    Returns
    -------
    LengthClusters
        Clusters by packets, descending. None if no packet is left.

    Raises
    ------
    ValueError
        If `bandwidth` is not a finite number above 0: "`bandwidth` must be a finite number of bytes above 0, got 0";
        else as `length_counts`.

    Examples
    --------
    >>> clusters = cluster_lengths([0, 100, 100, 101, 103, 600, 601], bandwidth=5)
    >>> clusters
    LengthClusters(2 clusters of 6 packets, bandwidth=5 bytes, 14.3% left out)
    >>> clusters.centres
    array([101. , 600.5])
    >>> clusters.lengths
    (array([100, 101, 103]), array([600, 601]))
    """
    number = isinstance(bandwidth, int | float | np.integer | np.floating) and not isinstance(bandwidth, bool)
    if not number or not 0 < bandwidth < math.inf:
        raise ValueError(f"`bandwidth` must be a finite number of bytes above 0, got {bandwidth!r}")
    counted = length_counts(
        trace_or_lengths, protocol=protocol, tls_only=tls_only, min_length=min_length, max_length=max_length
    )
    centres, places = mean_shift(counted.unique_lengths, counted.counts, float(bandwidth))
    packets = np.bincount(places, weights=counted.counts, minlength=len(centres)).astype(np.int64)
    # centres are in ascending order, so a stable sort leaves equal ones in the order of their smallest length
    order = np.argsort(-packets, kind="stable")
    order = order[packets[order] > 0]
    label = np.full(len(centres), -1, np.intp)
    label[order] = np.arange(len(order))
    return LengthClusters(
        unique_lengths=counted.unique_lengths,
        counts=counted.counts,
        left_out_below=counted.left_out_below,
        left_out_above=counted.left_out_above,
        min_length=counted.min_length,
        max_length=counted.max_length,
        quantity=counted.quantity,
        protocol=counted.protocol,
        tls_only=counted.tls_only,
        tls_bytes=counted.tls_bytes,
        bandwidth=float(bandwidth),
        centres=_read_only(centres[order]),
        packets=_read_only(packets[order]),
        labels=_read_only(label[places]),
    )


def _integers(lengths: npt.ArrayLike) -> npt.NDArray[np.integer[Any]]:
    values = np.asarray(lengths)
    if values.ndim != 1:
        raise ValueError(f"lengths must have one dimension, got {values.ndim}")
    if not values.size:
        return np.empty(0, np.int64)
    if values.dtype.kind not in "iu":
        raise TypeError(f"lengths must be integers, got {values.dtype}")
    if values.dtype == np.uint64:  # numpy does not count or compare these with others as integers
        values = values.astype(np.int64)
    if values.min() < 0:
        raise ValueError(f"lengths must not be negative, got {values.min()}")
    return values


def check_integer(name: str, value: object, least: int) -> None:
    """Raise ValueError unless `value` is an int of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"`{name}` must be an int of at least {least}, got {value!r}")


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.flags.writeable = False
    return array
