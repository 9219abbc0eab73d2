"""How far the reader and tshark agree on any captures, frame by frame: a report, and what the tests compare with.

    python tests/agreement.py FOLDER_OR_CAPTURE ...
    python tests/agreement.py --editcap "-s 54" FOLDER_OR_CAPTURE ...    # each one changed so before

reads every capture below the folders with the native reader and with tshark, and compares the columns with its fields.
What differs is counted by its reason; what has none is listed, and makes the exit status 1. Without a folder it reads
the samples of the package.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from wiresharking import tshark

import toolkit
from toolkit.capture.tshark import WiresharkError, find_tshark
from toolkit.trace import Trace

FIELDS = [
    *("frame.number", "frame.time_epoch", "frame.protocols", "frame.len", "frame.cap_len"),
    *("ip.src", "ip.dst", "ip.proto", "ip.len", "ip.ttl", "ip.id", "ip.version", "ip.hdr_len"),
    *("ipv6.src", "ipv6.dst", "ipv6.plen", "ipv6.hlim"),
    *("tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.flags", "tcp.len", "tcp.hdr_len"),
    *("ip.flags.mf", "ipv6.fraghdr.more", "_ws.malformed"),
    *("udp.srcport", "udp.dstport", "udp.length"),
]
SETTINGS = [
    *("tcp.desegment_tcp_streams:FALSE", "tcp.check_checksum:FALSE", "tcp.analyze_sequence_numbers:FALSE"),
    *("ip.defragment:FALSE", "ipv6.defragment:FALSE"),
]
PROTOCOL = {"tcp": 6, "udp": 17}
CAPTURE = re.compile(r"\.(pcap|pcapng|cap|ntar)\b")


class Unreadable(Exception):
    """What tshark says of a file that it cannot read."""


def by_tshark(path: Path) -> list[dict[str, list[str]]]:
    """Fields of each frame; a field has several values where a frame has several such headers, the outermost first."""
    command = [tshark(), "-n", "-r", str(path), "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=,"]
    command += [word for setting in SETTINGS for word in ("-o", setting)]
    command += [word for field in FIELDS for word in ("-e", field)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and "cut short in the middle of a packet" not in done.stderr:
        raise Unreadable(f"{path}: {done.stderr.splitlines()[-1]}")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return [dict(zip(FIELDS, [value.split(",") for value in row], strict=True)) for row in rows]


def outermost(row: dict[str, list[str]]) -> tuple[str, str]:
    """Name of the outermost IP layer ("" if there is none), and of the layer that it carries."""
    layers = [layer for layer in row["frame.protocols"][0].split(":") if not layer.startswith("ipv6.")]
    before, _, behind = row["frame.protocols"][0].partition(":mpls")
    outer = behind and not {"ip", "ipv6"} & set(before.split(":"))
    for ip in ("ip", "ipv6") if outer else ():  # tshark 4.4 does not list it behind MPLS, but shows its fields
        if len([value for value in row[f"{ip}.src"] if value]) > layers.count(ip):
            names = layers[len(before.split(":")) :]
            inside = [name for name in names if name != "mpls" and not (ip == "ipv6" and name == "ah")]
            return ip, inside[0] if inside else ""
    for i, layer in enumerate(layers):
        # an IPv6 packet behind the EtherType of IPv4 is shown as both
        if layer == "ipv6" or (layer == "ip" and row["ip.src"][0]):
            inside = [name for name in layers[i + 1 :] if not (layer == "ipv6" and name == "ah")]
            return layer, inside[0] if inside else ""
        if layer == "ip" and "ipv6" not in layers:
            return layer, ""
    return "", ""


def as_columns(row: dict[str, list[str]]) -> dict[str, Any]:
    """Translate what tshark says of a frame with IP; what it does not say is None."""

    def number(field: str, more: int = 0) -> int | None:
        text = row[field][0]
        return int(text, 0) + more if text else None

    ip, inside = outermost(row)
    stamp = re.fullmatch(r"(-?\d+)\.(\d{9})", row["frame.time_epoch"][0])
    said: dict[str, Any] = {
        # none for a simple packet; a text for one with more nanoseconds than a second has (from tshark 4.4 on)
        "time": int(stamp[1]) * 10**9 + int(stamp[2]) if stamp else 0 if not row["frame.time_epoch"][0] else None,
        "src": row[f"{ip}.src"][0],
        "dst": row[f"{ip}.dst"][0],
        "frame_length": number("frame.len"),
        "frame_captured": number("frame.cap_len"),
    }
    if ip == "ip":
        said |= {"protocol": number("ip.proto"), "ip_length": number("ip.len"), "ttl": number("ip.ttl")}
        said["ip_id"] = number("ip.id")
    else:
        said |= {"ip_length": number("ipv6.plen", 40), "ttl": number("ipv6.hlim")}
    if inside in PROTOCOL:
        said["protocol"] = PROTOCOL[inside]
        said |= {"src_port": number(f"{inside}.srcport"), "dst_port": number(f"{inside}.dstport")}
    if inside == "tcp":
        said |= {"tcp_seq": number("tcp.seq_raw"), "tcp_ack": number("tcp.ack_raw"), "tcp_flags": number("tcp.flags")}
        said["payload_length"] = number("tcp.len")
    elif inside == "udp":
        said["payload_length"] = number("udp.length", -8)
    else:  # a later fragment, or another protocol
        said |= {"src_port": 0, "dst_port": 0, "payload_length": 0}
    return said


def differences(trace: Trace, rows: list[dict[str, list[str]]]) -> dict[tuple[int, str], Any]:
    """Frame and column of all that differs, with both values."""
    ours = dict(zip(trace.column("number").tolist(), zip(*trace.columns, strict=True), strict=True))
    found: dict[tuple[int, str], Any] = {}
    for row in rows:
        frame = int(row["frame.number"][0])
        has_ip = outermost(row)[0] != ""
        if (frame in ours) != has_ip:
            found[frame, "row"] = frame in ours, has_ip
        if frame not in ours or not has_ip:
            continue
        mine: dict[str, Any] = dict(zip(trace.columns._fields, ours.pop(frame), strict=True))
        mine["src"], mine["dst"] = trace.hosts[mine["src"]], trace.hosts[mine["dst"]]
        for name, value in as_columns(row).items():
            if name in ("src", "dst") and value:
                value = str(ip_address(value))  # tshark may write the end of IPv6 like IPv4
            if mine[name] != value:
                found[frame, name] = mine[name], value
    for frame in ours:
        found[frame, "row"] = True, False
    return found


# A report of any captures

OVERFLOW = "a fraction of a second that is a second or more: tshark's number overflows, or is none"
TOO_LATE = "a time after the year 2262: more nanoseconds than 64 bits hold"
SHORTER = "a frame of fewer bytes than the file has of it: we take what is there"
STOPPED = "a record that cannot be, at which we stop, with a warning, and tshark a frame later or earlier"
UNKNOWN = "a link type that the native reader does not know"
NO_ROW = "an IP header that is cut or contradicts itself: no row"
CUT_OPTIONS = "cut within the options of IPv4: tshark gives no destination, which a source route may change"
FRAGMENT = "a first fragment: tshark gives the UDP length of the whole datagram, no TCP length"
OFFLOAD = "IPv6 or UDP length 0 (offload, jumbogram): we take the frame's, tshark only for IPv4"
CONTRADICTION = "lengths that contradict each other, or a cut header: tshark stops early, or takes the length as it is"
LATEST = 2**63 - 1
TRANSPORT = ("src_port", "dst_port", "tcp_seq", "tcp_ack", "tcp_flags", "payload_length")


def reason(column: str, values: tuple[Any, Any], row: dict[str, list[str]], unknown: bool) -> str:
    """Say why a value differs, by what tshark shows of the packet; "" where nothing explains it."""
    ours, theirs = (value if value is None or isinstance(value, str) else int(value) for value in values)
    cut = int(row["frame.cap_len"][0] or 0) < int(row["frame.len"][0] or 0)
    if column == "time" and theirs is not None and theirs > ours == LATEST:
        return TOO_LATE
    if column == "time" and (theirs is None or 0 in ((ours - theirs) % 2**32, (ours + theirs) % 2**32)):  # or its sign
        return OVERFLOW
    if column == "frame_length" and theirs < int(row["frame.cap_len"][0]) == ours:
        return SHORTER
    if column == "row" and theirs:
        version, size = row["ip.version"][0] or "4", int(row["ip.hdr_len"][0] or 20)
        addresses = row["ip.dst"][0] or row["ipv6.dst"][0]
        total = int(row["ip.len"][0] or 0) or size  # 0: left to the network card
        if version not in ("4", "6") or size < 20 or total < size or not addresses:
            return NO_ROW
        return UNKNOWN if unknown else ""
    if column == "dst" and not theirs and cut:
        return CUT_OPTIONS
    if column == "ip_length" and row["ipv6.plen"][0] == "0":
        return OFFLOAD
    if column in TRANSPORT and (theirs is None or outermost(row)[1] not in PROTOCOL):
        return CONTRADICTION if theirs is None or cut or row["_ws.malformed"][0] else ""  # it stopped before
    if column != "payload_length":
        return ""
    if "0" in (row["udp.length"][0], row["ipv6.plen"][0]):
        return OFFLOAD
    length = length_by_headers(row)
    if ours != length if length is not None else ours > max(theirs, 0):
        return ""
    more = row["ip.flags.mf"][0] in ("1", "True") or row["ipv6.fraghdr.more"][0] in ("1", "True")
    return FRAGMENT if more else CONTRADICTION


def length_by_headers(row: dict[str, list[str]]) -> int | None:
    """Payload that a packet has room for, by the lengths that tshark shows; None behind extension headers of IPv6."""
    if outermost(row)[0] == "ip":
        room = int(row["ip.len"][0]) - int(row["ip.hdr_len"][0])
    elif row["frame.protocols"][0].partition(":ipv6:")[2].startswith(("tcp", "udp")):
        room = int(row["ipv6.plen"][0])
    else:
        return None
    if row["udp.length"][0]:
        return max(min(int(row["udp.length"][0]), room) - 8, 0)
    header = int(row["tcp.hdr_len"][0] or 0)
    return room - header if 20 <= header <= room else 0


@dataclass
class Agreement:
    """What was compared, and what differs.

    Attributes
    ----------
    captures, frames, packets
        How many.
    reasons
        How many frames differ for each reason that is known.
    open
        What differs without one: capture, frame, column, both values.
    refused
        Captures that tshark does not read, with what it says.
    """

    captures: int = 0
    frames: int = 0
    packets: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    open: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def compare(self, path: Path) -> None:
        """Read one capture both ways."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", toolkit.CaptureWarning)
            try:
                rows = by_tshark(path)
                trace = toolkit.read(path)
            except Unreadable as error:
                self.refused.append(str(error))
                return
            except toolkit.CaptureError as error:
                self.open.append(f"{error}, where tshark reads {len(rows)} frames")
                return
        self.captures += 1
        self.frames += trace.source.frames
        self.packets += len(trace)
        if trace.source.frames != len(rows):
            if trace.source.problems:  # which say where and why
                self.reasons[STOPPED] += 1
            else:
                self.open.append(f"{path}: {trace.source.frames} frames here, {len(rows)} by tshark")
        unknown = trace.source.unknown_link  # how many are left
        found: set[tuple[int, str]] = set()
        for (frame, column), values in differences(trace, rows).items():
            why = reason(column, values, rows[frame - 1], unknown > 0) if frame <= len(rows) else ""
            unknown -= why == UNKNOWN
            found.add((frame, why))
            if not why:
                self.open.append(f"{path}: frame {frame}, {column}: {values[0]} here, {values[1]} by tshark")
        self.reasons.update(why for _, why in found if why)

    def __str__(self) -> str:
        """Report as a list for people."""
        lines = [f"{self.captures:,} captures, {self.frames:,} frames, {self.packets:,} packets"]
        lines += [f"{number:8,} frames: {why}" for why, number in self.reasons.most_common()]
        lines += [f"{len(self.refused):8,} captures not compared, since tshark cannot read them:"] * bool(self.refused)
        lines += [f"         {said}" for said in self.refused]
        lines += [f"{len(self.open):8,} values without a known reason" + ":" * bool(self.open), *self.open]
        return "\n".join(lines)


def captures(places: Iterable[Path]) -> Iterator[Path]:
    """Give the captures themselves, and those in folders and below."""
    for place in places:
        if not place.exists():
            raise SystemExit(f"{place}: no such file or folder")
        if place.is_dir():
            yield from (path for path in sorted(place.rglob("*")) if path.is_file() and CAPTURE.search(path.name))
        else:
            yield place


def edited(path: Path, options: str, folder: str) -> Path:
    """Change a capture by editcap: a copy of the same name, or the capture as it is if editcap cannot write it."""
    copy = Path(folder, path.name)
    copy.unlink(missing_ok=True)
    done = subprocess.run(["editcap", *shlex.split(options), str(path), str(copy)], capture_output=True, check=False)
    return copy if done.returncode == 0 else path


def main() -> int:
    """Compare what the command line names; 1 if something differs that has no reason."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    samples = [toolkit.example(name).path for name in toolkit.examples().index]
    parser.add_argument("captures", nargs="*", type=Path, default=samples, help="captures, or folders of them")
    parser.add_argument("--editcap", metavar="OPTIONS", help="change each capture by editcap before, as with '-s 54'")
    given = parser.parse_args()
    find_tshark()
    agreement = Agreement()
    with tempfile.TemporaryDirectory() as folder:
        for path in captures(given.captures):
            agreement.compare(path if given.editcap is None else edited(path, given.editcap, folder))
    sys.stdout.write(f"{agreement}\n")
    return int(bool(agreement.open) or agreement.captures == 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except WiresharkError as error:
        sys.exit(f"Error: {error}")
