"""Cut the sample traces that ship with the package out of the full captures.

    python tests/cut_samples.py [--shared DIR] [-o toolkit/samples]

A connection (unordered 4-tuple and protocol) is kept whole, both directions, if a hash of it falls below the share
of its sample; its size plays no part. Kept frames stay byte-identical, with their record headers, in file order.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dpkt

REPOSITORY = Path(__file__).resolve().parents[1]

# The first seed from 0 up with which every client is in its sample (two of meek's three), each file has 0.5 to 1.7 MB,
# all have 8 MB at most, and obfs4 fills three windows of 60 s. Heavy tails being what they are, that condition, unlike
# the hash, is against the few largest connections: see `largest_connection` and `largest_in_source`.
SEED = 29

HOW = (
    "Each connection (unordered 4-tuple and protocol) was kept whole, both directions, if the first 8 bytes of the "
    "SHA-256 of '{seed} {protocol} {address:port} {address:port}', over 2^64, are below `share`. File header, record "
    "headers and frames are those of the source, in file order. The sources hold IPv4 TCP and nothing else."
)

# name: share kept, software (None: as the manifest has it), description
SAMPLES: dict[str, tuple[float, str | None, str]] = {
    "https": (0.3, None, "Ordinary HTTPS by curl straight to the sites, with no proxy."),
    "https_chromium": (0.35, None, "Ordinary HTTPS by headless Chromium straight to the sites, with no proxy."),
    "meek": (
        0.67,
        "obfs4proxy 0.0.14 (meek_lite client); the server is a stand-in",
        "meek: curl's web traffic as polls inside HTTPS; one long connection a client, none closed in the capture.",
    ),
    "mixed_obfs4": (
        0.4,
        "obfs4proxy 0.0.14, curl 7.88.1, Chromium headless 156",
        "One client with an obfs4 bridge (10.77.0.11) among three that browse by curl (.12, .13) or Chromium (.14).",
    ),
    "obfs4": (
        0.4,
        "obfs4proxy 0.0.14",
        "obfs4 with iat-mode 0: curl's web traffic through one bridge a client, fully encrypted.",
    ),
    "shadowsocks": (
        0.3,
        None,
        "Shadowsocks with chacha20-ietf-poly1305: curl's web traffic through one server a client, fully encrypted.",
    ),
    "trojan": (0.35, None, "Trojan: curl's web traffic inside TLS to one server a client."),
    "vmess_ws_tls": (0.3, None, "VMess over WebSocket over TLS: curl's web traffic through one V2Ray server a client."),
}

Connection = tuple[int, tuple[tuple[str, int], tuple[str, int]]]


def records(capture: bytes) -> Iterator[tuple[int, bytes]]:
    """Give the time (µs) and the bytes of each record, record header included, of a little-endian pcap in µs."""
    if capture[:4] != b"\xd4\xc3\xb2\xa1":
        raise ValueError(f"expected a little-endian pcap in microseconds, found {capture[:4].hex(' ')}")
    position = 24
    while position < len(capture):
        seconds, micros, captured, _ = struct.unpack_from("<4I", capture, position)
        end = position + 16 + captured
        yield seconds * 1_000_000 + micros, capture[position:end]
        position = end


def connection(frame: bytes) -> Connection:
    """Give the protocol and the two endpoints, in order of size."""
    ip = dpkt.ethernet.Ethernet(frame).data
    if not isinstance(ip, dpkt.ip.IP) or not isinstance(ip.data, dpkt.tcp.TCP):
        raise ValueError(f"expected nothing but TCP over IPv4, found {ip!r}")
    one, other = (socket.inet_ntoa(ip.src), ip.data.sport), (socket.inet_ntoa(ip.dst), ip.data.dport)
    return ip.p, (min(one, other), max(one, other))


def is_kept(which: Connection, share: float, seed: int = SEED) -> bool:
    """Decide by the 4-tuple alone."""
    protocol, ends = which
    text = " ".join([str(seed), str(protocol), *(f"{address}:{port}" for address, port in ends)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") < share * 2**64


def cut(source: bytes, share: float) -> tuple[bytes, dict[str, Any]]:
    """Give the sample and what can be said of it by counting."""
    sizes: dict[Connection, int] = {}
    kept: list[bytes] = []
    times: list[int] = []
    for time, record in records(source):
        which = connection(record[16:])
        sizes[which] = sizes.get(which, 0) + len(record)
        if is_kept(which, share):
            kept.append(record)
            times.append(time)
    mine = {which: size for which, size in sizes.items() if is_kept(which, share)}
    sample = source[:24] + b"".join(kept)
    counted = {
        "hosts": {address for _, ends in mine for address, _ in ends},
        "connections": len(mine),
        "packets": len(kept),
        "bytes": len(sample),
        "duration": (max(times) - min(times)) / 1_000_000,
        "sha256": hashlib.sha256(sample).hexdigest(),
        "largest_connection": max(mine.values()),
        "connections_in_source": len(sizes),
        "largest_in_source": max(sizes.values()),
    }
    return sample, counted


def describe(name: str, captured: dict[str, Any], counted: dict[str, Any]) -> dict[str, Any]:
    """Give the entry of one sample: what the manifest says of its source, as far as it is in the sample."""
    share, software, description = SAMPLES[name]
    hosts = counted.pop("hosts")
    wire = captured["wire"]
    source = {"file": captured["file"], "sha256": captured["sha256"]}
    for key in ("connections", "largest"):
        source[key] = counted.pop(f"{key}_in_source")
    return {
        "name": name,
        "label": captured["label"],
        "transport": captured["transport"],
        "description": description,
        "clients": [client for client in captured["client_ips"] if client in hosts],
        "proxied_clients": [client for client in captured["proxied_clients"] if client in hosts],
        # a range such as 10.77.2.1-20:443/tcp stays as it is
        "servers": [s for s in captured["servers"] if "-" in s or s.partition(":")[0] in hosts],
        "software": software or captured["software"].partition(" (")[0],
        **counted,
        "share": share,
        "source": source,
        "emulated_path": {
            "delay_ms": wire["delay_ms"],
            "server_delay_ms": {host: delay for host, delay in wire["perip_ms"].items() if host in hosts},
            "jitter_ms": wire["jitter_ms"],
            "up_mbit": wire["rate_ab_mbit"],
            "down_mbit": wire["rate_ba_mbit"],
            "queue_ms": wire["queue_ms"],
            "loss": wire["loss"],
        },
    }


def main() -> None:
    """Write the captures and `samples.json`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shared = Path(os.environ.get("TOOLKIT_SHARED", REPOSITORY.parent / "shared"))
    parser.add_argument("--shared", type=Path, default=shared, help="folder that holds traces/ (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, default=REPOSITORY / "toolkit" / "samples")
    options = parser.parse_args()
    traces = options.shared / "traces"
    manifest = json.loads((traces / "manifest.json").read_text(encoding="utf-8"))
    captures = {entry["file"]: entry for entry in manifest["captures"]}
    options.output.mkdir(parents=True, exist_ok=True)
    entries = []
    for name, (share, _, _) in SAMPLES.items():
        captured = captures[f"{name}.pcap"]
        source = (traces / captured["file"]).read_bytes()
        if hashlib.sha256(source).hexdigest() != captured["sha256"]:
            raise ValueError(f"{captured['file']} is not the file of the manifest")
        sample, counted = cut(source, share)
        (options.output / captured["file"]).write_bytes(sample)
        entries.append(describe(name, captured, counted))
    document = {"cut": HOW, "seed": SEED, "samples": entries}
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    (options.output / "samples.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
