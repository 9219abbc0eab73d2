"""Make the captures that are measured on: seeded, of realistic shape, a million packets in a few seconds.

A few clients talk to many servers over some hundred connections at a time, which come and go; packets come in bursts.
TCP starts with its handshake, sequence and acknowledgement numbers are right, four in five connections carry
timestamps, two in a hundred are UDP. Half of the connections carry TLS records (each as long as a run of full segments
and the one that ends it), the others what looks like nothing: random bytes, a tenth of them text. IP checksums are
right; those of TCP and UDP are random numbers, since none of the tools measured checks them.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CLIENTS = "10.0.0.0/24"

_BLOCK = 8_192  # packets made at a time
_ACTIVE = 256  # connections at a time
_PER_CONNECTION = (
    50  # packets; since some get none it comes to 59, and to 57 in the shared captures that do not multiplex
)
_RECORD = np.dtype(
    [
        ("seconds", "<u4"), ("micros", "<u4"), ("captured", "<u4"), ("length", "<u4"),
        ("macs", "u1", 12), ("ethertype", ">u2"),
        ("version", "u1"), ("tos", "u1"), ("ip_length", ">u2"), ("ip_id", ">u2"), ("fragment", ">u2"),
        ("ttl", "u1"), ("protocol", "u1"), ("ip_checksum", ">u2"), ("src", ">u4"), ("dst", ">u4"),
        ("src_port", ">u2"), ("dst_port", ">u2"), ("seq", ">u4"), ("ack", ">u4"),
        ("flags", ">u2"), ("window", ">u2"), ("checksum", ">u2"), ("urgent", ">u2"),
        ("option", ">u4"), ("now", ">u4"), ("echo", ">u4"),
    ]
)  # fmt: skip
_BEFORE_TCP = 16 + 14 + 20  # record header, Ethernet, IPv4
_LETTERS = np.frombuffer((b"etaoinshrdlcumwfgypbvk  e t a o\n" * 8), np.uint8)  # a random byte to a letter


@dataclass(frozen=True)
class Kind:
    """What a capture is like.

    Attributes
    ----------
    name
        Of the file.
    payload
        Mean bytes of payload, which decides how many packets are full segments.
    shares
        Of the other packets: how many are empty, of 20 to 95 bytes, of 96 to 499 and of 500 to 1,400.
    rate
        Packets a second.
    """

    name: str
    payload: float
    shares: tuple[float, float, float, float]
    rate: float


SMALL = Kind("small", 188, (0.47, 0.45, 0.05, 0.03), 1_020)  # lengths as in the shared capture of ssh
LARGE = Kind("large", 603, (0.60, 0.14, 0.14, 0.12), 2_667)  # as in those of obfs4, shadowsocks, vmess
TINY = Kind("tiny", 64, (0.55, 0.39, 0.04, 0.02), 1_000)  # short enough for ten million in 1.5 GB

_LONGEST = 1_448
_EDGES = np.array([(0, 1), (20, 96), (96, 500), (500, 1_401)])  # of the four ranges


def folder() -> Path:
    """Where the captures are kept: $TOOLKIT_BENCH_DIR, else one under the system's temporary folder."""
    path = Path(os.environ.get("TOOLKIT_BENCH_DIR") or Path(tempfile.gettempdir()) / "toolkit-bench")
    path.mkdir(parents=True, exist_ok=True)
    return path


def capture(kind: Kind, packets: int, seed: int = 1) -> Path:
    """Give the capture of that kind and size; make it if it is not there (or this file has changed since)."""
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    path = folder() / f"{kind.name}-{packets}-{seed}-{version}.pcap"
    if not path.exists():
        partial = path.with_suffix(".partial")
        with open(partial, "wb") as file:
            # magic of microseconds, version 2.4, no time zone, snap length, Ethernet
            np.array([0xA1B2C3D4, 4 << 16 | 2, 0, 0, 262_144, 1], "<u4").tofile(file)
            for block in _blocks(kind, packets, np.random.default_rng(seed)):
                block.tofile(file)
        partial.replace(path)
    with open(path, "rb") as file:  # into the page cache
        while file.read(1 << 24):
            pass
    return path


def payload_lengths(kind: Kind, packets: int, rng: np.random.Generator, mean: float | None = None) -> np.ndarray:
    """Draw payload lengths of that kind."""
    others = float(kind.shares @ (_EDGES.sum(axis=1) - 1) / 2)  # their mean
    full = ((kind.payload if mean is None else mean) - others) / (_LONGEST - others)
    low, high = _EDGES[rng.choice(len(_EDGES), packets, p=kind.shares)].T
    return np.where(rng.random(packets) < full, _LONGEST, rng.integers(low, high))


class _Connections:
    """State of the connections that are open."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.client, self.server, self.port = (np.zeros(_ACTIVE, np.int64) for _ in range(3))
        self.udp, self.tls, self.timestamps = (np.zeros(_ACTIVE, bool) for _ in range(3))
        self.packets = np.zeros(_ACTIVE, np.int64)
        self.sent = np.zeros((2, _ACTIVE), np.int64)  # up, down; from a random start
        self.share = np.zeros(_ACTIVE)  # of the packets
        self.open(np.arange(_ACTIVE), rng)

    def open(self, slots: np.ndarray, rng: np.random.Generator) -> None:
        n = len(slots)
        self.client[slots] = 0x0A00000B + rng.integers(0, 4, n)
        self.server[slots] = 0xC6336400 + rng.zipf(1.3, n) % 250  # a few servers are popular
        self.port[slots] = rng.integers(32_768, 61_000, n)
        self.udp[slots] = rng.random(n) < 0.02
        self.tls[slots] = ~self.udp[slots] & (rng.random(n) < 0.5)
        self.timestamps[slots] = rng.random(n) < 0.8
        self.packets[slots] = 0
        self.sent[:, slots] = rng.integers(0, 1 << 32, (2, n))
        self.share[slots] = np.minimum(rng.pareto(1.2, n), 20) + 0.05


def _blocks(kind: Kind, packets: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Give the bytes of the records, block by block."""
    state = _Connections(rng)
    micros = 1_700_000_000_000_000
    for first in range(0, packets, _BLOCK):
        n = min(_BLOCK, packets - first)
        state.open(rng.choice(_ACTIVE, _BLOCK // _PER_CONNECTION, replace=False), rng)
        starts = rng.random(n) < 0.25  # of bursts
        starts[0] = True
        bursts = rng.choice(_ACTIVE, int(starts.sum()), p=state.share / state.share.sum())
        slot = bursts[np.cumsum(starts) - 1]
        # within a burst 0.3 times the mean gap, before one 3.1 times: a quarter of the packets
        times = micros + np.cumsum(rng.exponential(1e6 / kind.rate, n) * np.where(starts, 3.1, 0.3)).astype(np.int64)
        micros = int(times[-1])
        yield _records(kind, slot, times, state, rng)


def _records(
    kind: Kind, slot: np.ndarray, times: np.ndarray, state: _Connections, rng: np.random.Generator
) -> np.ndarray:
    n = len(slot)
    udp = state.udp[slot]
    # by connection: which of its packets each is, and how much either side has sent before
    order = np.argsort(slot, kind="stable")
    first = np.flatnonzero(np.diff(slot[order], prepend=-1))
    which = np.empty(n, np.int64)
    which[order] = np.arange(n) - np.repeat(first, np.diff(first, append=n))
    which += state.packets[slot]
    handshake = ~udp & (which < 3)  # SYN, SYN and ACK, ACK
    syn = handshake & (which < 2)
    payload = payload_lengths(kind, n, rng, kind.payload * n / max(n - handshake.sum(), 1))
    payload[handshake] = 0
    up = np.where(handshake, which != 1, rng.random(n) < np.where(payload == _LONGEST, 0.15, 0.55))
    sent = np.empty((2, n), np.int64)
    for side, mine in enumerate((up, ~up)):
        amount = np.where(mine, payload + syn, 0)[order]
        before = np.cumsum(amount) - amount
        before -= np.repeat(before[first], np.diff(first, append=n))
        sent[side, order] = before + state.sent[side, slot[order]]
        state.sent[side] += np.bincount(slot, np.where(mine, payload + syn, 0), _ACTIVE).astype(np.int64)
    state.packets += np.bincount(slot, minlength=_ACTIVE)

    header = np.where(udp, 8, np.where(state.timestamps[slot], 32, 20))
    client, server, port = state.client[slot], state.server[slot], state.port[slot]
    service = np.where(state.tls[slot], 443, 8_388)
    records = np.zeros(n, _RECORD)
    records["seconds"], records["micros"] = np.divmod(times, 1_000_000)
    records["captured"] = records["length"] = 14 + 20 + header + payload
    records["macs"] = np.where(up[:, None], np.arange(12), np.roll(np.arange(12), 6))
    records["ethertype"] = 0x0800
    records["version"] = 0x45
    records["ip_length"] = 20 + header + payload
    records["ip_id"] = rng.integers(0, 1 << 16, n)
    records["fragment"] = 0x4000  # do not
    records["ttl"] = np.where(up, 64, 55)
    records["protocol"] = np.where(udp, 17, 6)
    records["src"], records["dst"] = np.where(up, client, server), np.where(up, server, client)
    records["src_port"], records["dst_port"] = np.where(up, port, service), np.where(up, service, port)
    records["ip_checksum"] = _checksum(records)
    random = rng.integers(0, 1 << 16, n)
    records["seq"] = np.where(udp, (8 + payload) << 16 | random, np.where(up, sent[0], sent[1]) & 0xFFFFFFFF)
    records["ack"] = np.where(syn & up, 0, np.where(up, sent[1], sent[0]) & 0xFFFFFFFF)
    push = (payload > 0) & ((payload < _LONGEST) | (random < 0x2000))
    flags = np.where(syn, np.where(up, 2, 18), np.where(push, 24, 16))
    records["flags"] = (header // 4) << 12 | flags
    records["window"], records["checksum"] = 501, random
    records["option"] = 0x0101080A  # two fillers, then a time stamp of 10 bytes
    records["now"] = records["echo"] = times // 1_000 & 0xFFFFFFFF
    out, end = _join(records, header, payload, rng)
    tls = state.tls[slot]
    _write_tls(out, end, payload, np.where(tls, 2 * slot + up, -1))
    for i in np.flatnonzero(~tls & (rng.random(n) < 0.1)):
        text = slice(end[i] - payload[i], end[i])
        out[text] = _LETTERS[out[text]]
    return out


def _checksum(records: np.ndarray) -> np.ndarray:
    words = records.view(np.uint8).reshape(len(records), -1)[:, 30:_BEFORE_TCP].copy().view(">u2")
    total = words.astype(np.int64).sum(axis=1)
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - ((total & 0xFFFF) + (total >> 16))


def _join(
    records: np.ndarray, header: np.ndarray, payload: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Put headers and random payloads one after the other; give the bytes, and where each packet ends."""
    size = _BEFORE_TCP + header + payload
    end = np.cumsum(size)
    out = np.frombuffer(bytearray(rng.bytes(int(end[-1]))), np.uint8)
    rows = records.view(np.uint8).reshape(len(records), -1)
    for length in (8, 20, 32):
        these = np.flatnonzero(header == length)
        width = _BEFORE_TCP + length
        out[(end - size)[these, None] + np.arange(width)] = rows[these, :width]
    return out, end


def _write_tls(out: np.ndarray, end: np.ndarray, payload: np.ndarray, stream: np.ndarray) -> None:
    """Write the heads of TLS records into the payloads of each stream (-1 for none)."""
    these = np.flatnonzero((stream >= 0) & (payload > 0))
    these = these[np.argsort(stream[these], kind="stable")]
    if not len(these):
        return
    # a record ends with a segment that is not full, with the stream, or before it is too long
    last = (payload[these] < _LONGEST) | (np.diff(stream[these], append=-1) != 0) | (np.arange(len(these)) % 11 == 10)
    first = np.flatnonzero(np.append(True, last[:-1]))
    head = np.full((len(first), 5), [23, 3, 3, 0, 0])
    head[:, 3], head[:, 4] = np.divmod(np.add.reduceat(payload[these], first) - 5, 256)
    start = (end - payload)[these[first]]
    out[start[:, None] + np.arange(5)] = head
