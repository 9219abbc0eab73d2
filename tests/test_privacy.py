"""Anonymised captures: pseudonyms, what is left of a frame, that nothing else is, and that results stay the same."""

from __future__ import annotations

import gzip
import os
import random
import re
import shutil
import stat
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import writer
from capturing import ENDS, START, read, sent_tcp, sent_udp
from click.testing import CliRunner, Result
from corpus import changed_captures, frames, read_anything
from encapsulations import MADE
from hypothesis import given
from hypothesis import strategies as st
from making import from_dicts, quick
from reference import TCP, Packet
from reference_privacy import common_prefix, pseudonym
from writer import LINKS, Frame
from yacryptopan import CryptoPAn

import toolkit
from toolkit import CaptureWarning, ToolkitError, Trace
from toolkit.capture.beside import table_path
from toolkit.capture.decode import LINK_TYPES
from toolkit.cli import main
from toolkit.columns import PARTIAL_CHECKSUM, Columns
from toolkit.cryptopan import pseudonyms
from toolkit.entropy import entropy_of
from toolkit.hosts import Hosts

KEY = bytes(range(32))

# Key, addresses and pseudonyms of the sample trace in the distribution of Crypto-PAn 1.0 (sample_trace_raw.dat and
# sample_trace_sanitized.dat), J. Fan et al., Georgia Tech, 2002.
SAMPLE_KEY = bytes([
    21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16,
    216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2,
])  # fmt: skip
SAMPLE = """
128.11.68.132 135.242.180.132   129.118.74.4 134.136.186.123    130.132.252.244 133.68.164.234
141.223.7.43 141.167.8.160      141.233.145.108 141.129.237.235 152.163.225.39 151.140.114.167
156.29.3.236 147.225.12.42      165.247.96.84 162.9.99.234      166.107.77.190 160.132.178.185
192.102.249.13 252.138.62.131   192.215.32.125 252.43.47.189    192.233.80.103 252.25.108.8
192.41.57.43 252.222.221.184    193.150.244.223 253.169.52.216  195.205.63.100 255.186.223.5
198.200.171.101 249.199.68.213  198.26.132.101 249.36.123.202   198.36.213.5 249.7.21.132
198.51.77.238 249.18.186.254    199.217.79.101 248.38.184.213   202.49.198.20 245.206.7.234
203.12.160.252 244.248.163.4    204.184.162.189 243.192.77.90   204.202.136.230 243.178.4.198
204.29.20.4 243.33.20.123       205.178.38.67 242.108.198.51    205.188.147.153 242.96.16.101
207.105.49.5 241.118.205.138    207.188.7.45 241.255.249.220    208.147.89.59 227.237.98.191
209.12.231.7 226.243.167.8      212.120.124.31 228.135.163.231  216.148.237.145 235.84.194.111
24.0.250.221 100.15.198.226     24.5.0.80 100.9.15.210          38.15.67.68 64.3.66.187
4.3.88.225 124.60.155.63        63.14.55.111 95.9.215.7         64.14.118.196 0.255.183.58
10.185.25.118 117.161.29.118
"""
# The same key on IPv6, as the implementation of Y. Angel publishes it (github.com/Yawning/cryptopan, its tests).
SAMPLE_6 = """
::1 78ff:f001:9fc0:20df:8380:b1f1:704:ed          ::2 78ff:f001:9fc0:20df:8380:b1f1:704:ef
::ffff 78ff:f001:9fc0:20df:8380:b1f1:704:f838     2001:db8::1 4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1e
2001:db8::2 4401:2bc:603f:d91d:27f:ff8e:e6f1:dc1c
"""

addresses = st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(str)
SPECIAL = ["0.0.0.0", "255.255.255.255", "127.0.0.1", "224.0.0.251", "::", "::1", "ff02::fb", "169.254.1.1"]


def mapped(listed: list[str], key: bytes = KEY) -> list[str]:
    hosts, number = Hosts.from_strings(listed)
    names = pseudonyms(hosts, key).names
    return [names[i] for i in number]


# Pseudonyms


@pytest.mark.parametrize("sample", [SAMPLE, SAMPLE_6])
def test_published_pseudonyms(sample: str) -> None:
    words = sample.split()
    assert len(words) >= 10
    assert mapped(words[::2], SAMPLE_KEY) == words[1::2]


@given(st.lists(addresses | st.sampled_from(SPECIAL), min_size=1, max_size=6), st.binary(min_size=32, max_size=32))
@quick
def test_pseudonyms_against_bit_by_bit(listed: list[str], key: bytes) -> None:
    assert mapped(listed, key) == [pseudonym(address, key) for address in listed]


@given(st.lists(addresses, min_size=1, max_size=6), st.binary(min_size=32, max_size=32))
@quick
def test_pseudonyms_against_yacryptopan(listed: list[str], key: bytes) -> None:
    peer = CryptoPAn(key)
    assert [int(ip_address(name)) for name in mapped(listed, key)] == [
        peer.anonymize_bin(int(ip_address(address)), ip_address(address).version) for address in listed
    ]


@given(st.lists(st.tuples(addresses, st.integers(0, 127), st.integers(0, 2**128 - 1)), min_size=1, max_size=4))
@quick
def test_prefixes_are_kept_and_no_more(drawn: list[tuple[str, int, int]]) -> None:
    for address, kept, noise in drawn:
        one = ip_address(address)
        size = one.max_prefixlen
        kept %= size
        other = str(type(one)(int(one) ^ 1 << size - 1 - kept ^ noise % (1 << size - 1 - kept)))
        assert common_prefix(address, other) == kept
        assert common_prefix(*mapped([address, other])) == kept


def test_many_hosts_at_once() -> None:
    """More than are encrypted at a time, of both families by turns."""
    draw = random.Random(4)
    listed = [
        str(ip_address(draw.randbytes(4 if number % 3 else 16))) for number in range(3 * toolkit.cryptopan._AT_A_TIME)
    ]
    names = mapped(listed)
    assert len(set(names)) == len(set(listed))
    some = range(0, len(listed), 4_001)
    assert [names[i] for i in some] == [pseudonym(listed[i], KEY) for i in some]


def test_special_addresses_are_as_all_others() -> None:
    assert not set(mapped(SPECIAL)) & set(SPECIAL)


def test_keys_that_are_none() -> None:
    trace = toolkit.load_example("obfs4")
    with pytest.raises(ValueError, match="`key` must be 32 bytes, got 31"):
        toolkit.anonymise(trace, key=bytes(31))
    with pytest.raises(TypeError, match="`key` must be 32 bytes, got str"):
        toolkit.anonymise(trace, key="a" * 32)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("module", "message"),
    [
        ("cryptography.hazmat.primitives.ciphers", "anonymising needs the package cryptography"),
        ("pyarrow", "has a Parquet table beside it, which needs pyarrow"),
    ],
)
def test_what_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, message: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr("pandas.io.parquet.import_optional_dependency", _no_pyarrow)
    with pytest.raises(ToolkitError, match=rf"{message}: pip install 'traffic-toolkit\[privacy\]'"):
        toolkit.write_anonymised(toolkit.load_example("obfs4"), tmp_path / "out.pcap", key=KEY)
    assert not list(tmp_path.iterdir())


def _no_pyarrow(*_: Any, **__: Any) -> None:
    raise ImportError("no pyarrow")


def test_networks() -> None:
    listed = [
        "10.0.0.0/8",
        "10.77.0.0/24",
        "10.77.0.13",
        "0.0.0.0/0",
        "10.0.0.0/7",
        "2001:db8::/32",
        "2001:db8::1",
        "::/0",
    ]
    found = toolkit.anonymise_networks(listed, key=KEY)
    assert [network.prefixlen for network in found] == [8, 24, 32, 0, 7, 32, 128, 0]
    draw = random.Random(1)
    for before, after in zip(map(ip_network, listed), found, strict=True):
        for _ in range(20):
            inside = before.network_address + draw.randrange(before.num_addresses)
            assert ip_address(mapped([str(inside)])[0]) in after
    assert toolkit.anonymise_networks("10.77.0.13", key=KEY) == (found[2],)


# Results stay the same


@cache
def public(name: str) -> Trace:
    return toolkit.anonymise(toolkit.load_example(name), key=KEY)


def renamed(trace: Trace) -> Callable[[str], str]:
    names = dict(zip(trace.hosts, mapped(list(trace.hosts)), strict=True))
    return lambda host: names[host]


@pytest.mark.parametrize("name", toolkit.examples().index)
def test_every_feature_is_the_same(name: str) -> None:
    trace, clients = toolkit.load_example(name), toolkit.example(name).clients
    options: dict[str, Any] = {"packet_window": 20, "remainder": "keep"}
    table = toolkit.client_features(trace, clients, **options)
    assert table.shape[0] > 5
    assert table["mean_entropy_up"].max() > 1
    same = toolkit.client_features(public(name), toolkit.anonymise_networks(clients, key=KEY), **options)
    rows = table.index.to_frame()
    rows[["client", "target"]] = rows[["client", "target"]].map(renamed(trace)).astype(object)
    table.index = pd.MultiIndex.from_frame(rows)
    pd.testing.assert_frame_equal(table, same, check_exact=True)


def test_everything_else_is_the_same() -> None:
    trace, same = toolkit.load_example("https"), public("https")
    clients = toolkit.example("https").clients
    networks = toolkit.anonymise_networks(clients, key=KEY)
    assert toolkit.payload_entropy(same).tolist() == toolkit.payload_entropy(trace).tolist()
    pd.testing.assert_frame_equal(toolkit.entropy_counts(same).cells, toolkit.entropy_counts(trace).cells)
    for tls in (False, True):
        pd.testing.assert_frame_equal(
            toolkit.cluster_lengths(same, tls_only=tls).to_frame(),
            toolkit.cluster_lengths(trace, tls_only=tls).to_frame(),
        )
    assert len(toolkit.cluster_lengths(trace, tls_only=True)) > 3
    pd.testing.assert_frame_equal(
        toolkit.window_sweep(same, networks), toolkit.window_sweep(trace, clients), check_exact=True
    )
    one, other = toolkit.connections(trace), toolkit.connections(same)
    assert len(one) == len(other)
    assert same.duration == trace.duration


def test_what_is_selected_joined_or_moved_keeps_its_entropy(tmp_path: Path) -> None:
    trace, same = toolkit.load_example("obfs4"), public("obfs4")
    entropy = toolkit.payload_entropy(trace)
    assert toolkit.payload_entropy(same[::-2]).tolist() == entropy[::-2].tolist()
    assert toolkit.payload_entropy(same.select(payload_only=True)).tolist() == (
        toolkit.payload_entropy(trace.select(payload_only=True)).tolist()
    )
    both = toolkit.concat([same, trace, toolkit.synchronise(same, "2020-01-01")])
    assert toolkit.payload_entropy(both).tolist() == [*entropy, *entropy, *entropy]
    assert toolkit.concat([trace, trace]).kept_entropy is None
    hosts = np.arange(trace.host_count) == 0
    for protocol in (6, 17, -1):
        assert entropy_of(same, hosts, protocol).tolist() == entropy_of(trace, hosts, protocol).tolist()
    again = toolkit.anonymise(same, key=KEY[::-1])
    assert toolkit.payload_entropy(again).tolist() == entropy.tolist()
    twice = toolkit.anonymise(toolkit.concat([same, trace]), key=KEY, keep_payload=True)
    assert toolkit.payload_entropy(twice).tolist() == [*entropy, *entropy]
    path = toolkit.write_anonymised(toolkit.concat([same, trace]), tmp_path / "x.pcap", key=KEY, keep_payload=True)
    assert toolkit.payload_entropy(toolkit.read(path)).tolist() == [*entropy, *entropy]
    assert toolkit.anonymise(trace, key=KEY, keep_payload=True).kept_entropy is None


def test_health_is_the_same_but_for_what_the_documentation_names() -> None:
    one, other = sent_tcp(b"abc", ident=7, checksum="partial"), sent_tcp(b"abc", ident=7, seq=9)
    made = [Frame(sent.packet, START + i) for i, sent in enumerate([one, other, other, other])]
    made += [Frame(sent_udp(b"x", fragment=8, ident=5).packet, START)]
    trace = read(writer.pcap(made, resolution="ns", linktype=101))
    before, after = trace.health(), toolkit.anonymise(trace, key=KEY).health()
    differ = {f.name for f, g in zip(before, after, strict=True) if f.count != g.count}
    assert differ == {"duplicate", "retransmitted", "checksum offload"}
    assert after["checksum offload"].count == after["duplicate"].count == 0
    assert after["retransmitted"].count == before["retransmitted"].count + before["duplicate"].count


def test_it_says_nothing_of_where_it_came_from(tmp_path: Path) -> None:
    path = tmp_path / "secret-name.pcap"
    shutil.copy(toolkit.example("obfs4").path, path)
    trace = toolkit.read(path).select(clients="10.77.0.13", where='src == "10.77.0.13" or ttl > 0')
    same = toolkit.anonymise(trace, key=KEY)
    said = " ".join(map(str, (same.sources, same.history, same.hosts, repr(same), same.summary(), same._repr_html_())))
    assert not re.search(r"10\.77\.|secret|pytest", said)
    assert KEY.hex() not in said
    assert repr(KEY)[2:-1] not in said
    assert same.source.sha256 == ""


# Frames


def same_columns(one: Trace, other: Trace, *but: str) -> None:
    for name in set(Columns._fields) - {"src", "dst", "frame_offset", *but}:
        assert one.column(name).tolist() == other.column(name).tolist(), name
    for end in ("src", "dst"):
        assert [one.hosts[i] for i in one.column(end)] == [other.hosts[i] for i in other.column(end)]


def check(trace: Trace, folder: Path, keep: bool) -> bytes:
    """Anonymise in both ways, which must agree, read it again, and compare it with what it was."""
    same = toolkit.anonymise(trace, key=KEY, keep_payload=keep)
    path = toolkit.write_anonymised(trace, folder / "public.pcapng", key=KEY, keep_payload=keep)
    written = path.read_bytes()
    assert same.to_pcap(folder / "again.pcapng").read_bytes() == written
    again = toolkit.read(path, strict=True)
    same_columns(again, same)
    # nothing that was read from a frame is another
    same_columns(again, _renamed(trace), "ip_id", "marks", "number")
    assert toolkit.payload_entropy(again).tolist() == toolkit.payload_entropy(trace).tolist()
    kept = ~np.uint8(PARTIAL_CHECKSUM)
    assert (again.column("marks") & kept).tolist() == (trace.column("marks") & kept).tolist()
    for row in range(len(trace)):
        payload = bytes(trace.payload(row))
        assert bytes(again.payload(row)) == (payload if keep else bytes(len(payload)))
    return written


def _renamed(trace: Trace) -> Trace:
    return Trace(trace.columns, pseudonyms(trace._hosts, KEY), trace._data, trace.sources)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("name", list(LINKS))
def test_every_link_type(tmp_path: Path, name: str, keep: bool) -> None:
    made = [Frame(data[:cut], START + i, len(data)) for cut in (None, 100, 70) for i, data in enumerate(frames(name))]
    trace = read(writer.pcap(made, resolution="ns", linktype=LINKS[name][0]))
    assert len(trace) > 6
    written = check(trace, tmp_path, keep)
    for original in (
        writer.MACS[:6],
        writer.MACS[6:],
        b"\xde\xad\xbe\xef",
        *(ip_address(a).packed for a in trace.hosts),
    ):
        assert original not in written


def test_every_link_type_is_among_them() -> None:
    assert {number for number, _ in LINKS.values()} == set(LINK_TYPES)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("name", list(MADE))
def test_frames_of_other_places(tmp_path: Path, name: str, keep: bool) -> None:
    """Tunnels, fragments, extension headers, errors that quote packets; what has no IP is not there."""
    trace = read(writer.pcap([Frame(data, START) for data in MADE[name]], resolution="ns"))
    assert (len(trace) > 0) == (name != "no IP")
    check(trace, tmp_path, keep)


def test_changed_captures_are_anonymised(tmp_path: Path) -> None:
    """Also what nobody would send comes out as it went in, but for what is to go."""
    for number, data in enumerate(changed_captures(150, 12)):
        trace = read_anything(data)
        if trace is not None:
            check(trace, tmp_path, keep=number % 2 == 0)


@given(
    st.sampled_from(["tcp", "udp"]), st.sampled_from([4, 6]), st.binary(max_size=40), st.booleans(),
    st.sampled_from(["right", "partial", "none"]),
)  # fmt: skip
@quick
def test_a_packet_is_what_the_writer_makes_of_it(
    kind: str, version: int, payload: bytes, keep: bool, checksum: str
) -> None:
    ends = ENDS[version]
    new = tuple(mapped(list(ends)))
    after = payload if keep else bytes(len(payload))
    if kind == "tcp":
        numbers: dict[str, Any] = {"seq": 5, "ack": 2**32 - 1, "flags": 0x118}
        segment = sent_tcp(payload, ident=77, checksum=checksum, ends=ends, **numbers).packet
        body = writer.tcp(40_001, 443, after, checksum_for=(new[0], new[1]), **numbers)
    else:
        segment = sent_udp(payload, ident=77, checksum=checksum, ends=ends).packet
        right = None if checksum == "none" else (new[0], new[1])  # UDP without a checksum stays without
        body = writer.udp(40_001, 443, after, checksum_for=right)
    number = writer.TCP if kind == "tcp" else writer.UDP
    expected = (writer.ipv4 if version == 4 else writer.ipv6)(*new, number, body)
    same = toolkit.anonymise(read(writer.pcap([Frame(segment, START)], linktype=101)), key=KEY, keep_payload=keep)
    assert same.storage.parts[0].tobytes() == expected


def frame(packet: bytes, *, keep: bool = False, size: int | None = None) -> bytes:
    """Anonymise one packet, of which `size` bytes were captured."""
    trace = read(writer.pcap([Frame(packet[:size], START, len(packet))], linktype=101))
    return toolkit.anonymise(trace, key=KEY, keep_payload=keep).storage.parts[0].tobytes()


NEW = tuple(mapped(list(ENDS[4])))


def test_checksums_that_cannot_be_known_are_0() -> None:
    for keep in (False, True):
        assert frame(sent_tcp(b"abc", more=True, checksum="right").packet, keep=keep)[36:38] == b"\0\0"
        assert frame(sent_udp(b"abc", more=True, checksum="right").packet, keep=keep)[26:28] == b"\0\0"
    cut = sent_tcp(b"abcdef").packet
    assert frame(cut, keep=True, size=43)[36:38] == b"\0\0"
    # zeros that were cut off are known to be zeros
    assert (
        frame(cut, size=43)
        == writer.ipv4(*NEW, 6, writer.tcp(40_001, 443, bytes(6), checksum_for=(NEW[0], NEW[1])))[:43]
    )


def test_a_udp_checksum_of_0_is_written_as_all_ones() -> None:
    (port,) = struct.unpack(">H", writer.udp(0, 443, checksum_for=(NEW[0], NEW[1]))[6:])
    assert frame(sent_udp(ports=(port, 443), checksum="right").packet)[26:28] == b"\xff\xff"


def test_a_udp_length_left_to_the_network_card() -> None:
    body = writer.udp(40_001, 443, bytes(50), length=0, checksum_for=ENDS[4])
    after = writer.udp(40_001, 443, bytes(50), length=0, checksum_for=(NEW[0], NEW[1]))
    assert frame(writer.ipv4(*ENDS[4], 17, body, total_length=0)) == writer.ipv4(*NEW, 17, after, total_length=0)


def test_a_right_checksum_may_look_like_one_left_to_the_network_card() -> None:
    for_new = {"checksum_for": (NEW[0], NEW[1])}
    right, partial = (
        int.from_bytes(writer.tcp(40_001, 443, partial=partial, **for_new)[16:18], "big") for partial in (False, True)
    )
    packet = sent_tcp(seq=(right - partial) % 0xFFFF).packet  # it takes as much off the checksum
    trace = toolkit.anonymise(read(writer.pcap([Frame(packet, START)], linktype=101)), key=KEY)
    assert trace.column("marks").tolist() == [PARTIAL_CHECKSUM]


def test_frames_do_not_touch_each_other() -> None:
    """Also such that are cut inside their options, of which nothing may go into the next one."""
    options = b"\x01\x01\x08\x0a12345678" + b"\x02\x04\x05\xb4" * 3
    packet = sent_tcp(b"payload", tcp_options=options).packet
    made = [Frame(packet[:size], START, len(packet)) for size in range(20, len(packet) + 1)]
    traces = [read(writer.pcap(made, linktype=101)), *(read(_capture(seed, seed)[0]) for seed in range(8))]
    for trace in traces:
        alone = [toolkit.anonymise(trace[row : row + 1], key=KEY) for row in range(len(trace))]
        whole = toolkit.anonymise(trace, key=KEY).storage.parts[0].tobytes()
        assert whole == b"".join(one.storage.parts[0].tobytes() for one in alone)


# Nothing else is there


TCP_OPTIONS = {
    # kind and length, what is left of them
    "segment size": (b"\x02\x04\x05\xb4", b"\x02\x04\x05\xb4"),
    "window scale, SACK": (b"\x03\x03\x07\x04\x02", b"\x03\x03\x07\x04\x02"),
    "SACK blocks": (b"\x05\x0a" + b"12345678", b"\x05\x0a" + b"12345678"),
    "time stamps": (b"\x08\x0a" + b"12345678", b"\x01" * 10),
    "fast open cookie": (b"\x22\x0a" + b"12345678", b"\x01" * 10),
    "multipath address": (b"\x1e\x08" + b"123456", b"\x01" * 8),
    "SACK of no length": (b"\x05\x09" + b"1234567", b"\x01" * 9),
    "segment size of another length": (b"\x02\x06" + b"1234", b"\x01" * 6),
    "a length of 0": (b"\x01\x09\x00\x02\x04\x05\xb4\x01", b"\x01" * 8),
    "a length beyond the end": (b"\x01\x01\x01\x01\x02\x06SX", b"\x01" * 8),
    "only a kind": (b"\x01\x01\x01\x09", b"\x01" * 4),
    "bytes after the end": (b"\x02\x04\x05\xb4\x00SECRET!", b"\x02\x04\x05\xb4" + bytes(8)),
}


@pytest.mark.parametrize("options", TCP_OPTIONS)
def test_tcp_options(options: str) -> None:
    before, after = TCP_OPTIONS[options]
    before += bytes(-len(before) % 4)
    after += bytes(-len(after) % 4)
    packet = sent_tcp(b"payload", tcp_options=before).packet
    same = toolkit.anonymise(read(writer.pcap([Frame(packet, START)], linktype=101)), key=KEY)
    assert same.storage.parts[0].tobytes()[40 : 40 + len(before)] == after


ADDRESSES = "ff" * 12
WLAN = "33bc ffff" + "ff" * 18 + "f0ff"
WLAN_QUALITY = "333c ffff" + "ff" * 18 + "f0ff 7fff"
SECRET_BITS = {
    # of the headers that `writer` makes, up to the last secret
    "ethernet hsr": ADDRESSES + "0000 ffffffff",
    "ethernet metadata": ADDRESSES + "0000 ffffffff ffff",
    "ethernet 802.1ah": ADDRESSES + "0000 ffffffff" + ADDRESSES,
    "ethernet trill": ADDRESSES + "0000 f83f ffff ffff" + ADDRESSES,
    "ethernet trill options": ADDRESSES + "0000 f83f ffff ffff ffffffff" + ADDRESSES,
    "token ring": "ff3f ffffffffffff 7fffffffffff",
    "token ring routed": "ff3f ffffffffffff 7fffffffffff e0ff",
    "fddi": "0f" + ADDRESSES,
    "frame relay": "fefe",
    "frame relay snap": "fefe 00 00 00 ffffff",
    "openbsd ipsec": "00000000 ffffffff ffffffff",
    "openbsd pflog": "0000" + "ff" * 62,
    "ip over 1394": "ff" * 16,
    "netfilter log": "00ffffff 00000000 ffffffff",
    "netfilter log big": "00ffffff 00000000 ffffffff",
    "802.11": WLAN,
    "802.11 quality": WLAN_QUALITY,
    "802.11 between": WLAN + "ff" * 6,
    "802.11 aggregated": WLAN_QUALITY + "ffffffff" + ADDRESSES,
    "802.11 radiotap": "ffff 0000 fdffffff" + WLAN,
    "802.11 radiotap padded": "ffff 0000 fcffff7f ffffff7f ffffffff" + "ff" * 8 + "df" + WLAN_QUALITY + "ffff",
    "802.11 radiotap fields": "ffff 0000 fcffff7f ffffff7f ffffff7f" + "ff" * 8 + "df" + "ff" * 10 + WLAN,
    "802.11 prism": "00" * 8 + "ff" * 136 + WLAN,
    "802.11 prism avs": "00" * 8 + "ff" * 56 + WLAN,
    "802.11 avs": "00" * 8 + "ff" * 56 + WLAN,
    "ppi 802.11": "00" * 8 + WLAN,
    "sll2": "0000 ffff ffffffff 00000000" + "ff" * 8,
}


def _secret_header(name: str, data: bytes, draw: random.Random) -> bytes:
    """Draw anew what a link-layer header, as `writer` makes it, has of secrets."""
    bits = bytes.fromhex(SECRET_BITS.get(name, ""))
    if bits:
        flips = int.from_bytes(bits, "big") & draw.getrandbits(8 * len(bits))
        data = (int.from_bytes(data[: len(bits)], "big") ^ flips).to_bytes(len(bits), "big") + data[len(bits) :]
    for mac in (writer.MACS[:6], writer.MACS[6:]):
        data = data.replace(mac, draw.randbytes(6))
    for number in range(3):
        for tag in (0x8100, 0x88A8, 0x9100):
            data = data.replace(struct.pack(">HH", tag, 100 + number), struct.pack(">H", tag) + draw.randbytes(2))
        for bottom in (0, 1):
            label = struct.pack(">I", (1000 + number) << 12 | bottom << 8 | 64)
            first, second, third, last = draw.randbytes(4)
            data = data.replace(label, bytes([first, second, third & 0xFE | bottom, last]))
    data = data.replace(b"\xaa\xaa\x03\x00\x00\x00", b"\xaa\xaa\x03\x00\x00" + draw.choice([b"\x00", b"\xf8"]))
    data = data.replace(b"\x11\x00\x12\x34", b"\x11\x00" + draw.randbytes(2))
    data = data.replace(b"\x06\x00\x08\x00" + bytes(8), draw.randbytes(12))  # fields of PPI
    return data.replace(b"\x07\x00\x04\x00" + bytes(4), draw.randbytes(8))


@pytest.mark.parametrize("name", list(LINKS))
def test_no_secret_of_a_link_layer_is_left(name: str) -> None:
    for version in writer.versions(name):
        packet = sent_tcp(b"abc", ends=ENDS[version]).packet
        whole = writer.link(name, packet)
        place = whole.index(packet)
        headers = {_secret_header(name, whole[:place], random.Random(seed)) for seed in range(30)}
        assert len(headers) > 20 or name not in SECRET_BITS
        made = [Frame(header + whole[place:], START) for header in headers]
        trace = read(writer.pcap(made, linktype=LINKS[name][0]))
        assert len(trace) == len(made)
        written = toolkit.anonymise(trace, key=KEY).storage.parts[0].tobytes()
        assert written == written[: len(whole)] * len(made)


@pytest.mark.parametrize(("name", "size"), [("sll", 2), ("ppp direction", 1), ("ppp pppd in", 1), ("ppp pppd out", 1)])
def test_the_direction_of_a_frame_stays(name: str, size: int) -> None:
    before = writer.link(name, sent_tcp(b"abc").packet)
    same = toolkit.anonymise(read(writer.pcap([Frame(before, START)], linktype=LINKS[name][0])), key=KEY)
    assert same.storage.parts[0].tobytes()[:size] == before[:size]


def _nasty(secret: random.Random, choice: random.Random) -> tuple[bytes, list[bytes]]:
    """Make a frame with secrets wherever there is room for one, and give the secrets of at least 6 bytes.

    What is to be hidden is from `secret`, the rest from `choice`.
    """
    name = choice.choice(list(LINKS))
    version = choice.choice(writer.versions(name))
    size = choice.choice([0, 1, 7, 40, 300])
    payload = secret.randbytes(size)
    kind = choice.choice(["tcp", "tcp", "udp", "icmp", "gre", "esp", "ip in ip", "later fragment"])
    ports = choice.randrange(1 << 16), choice.randrange(1 << 16)
    ends = ENDS[version]
    hidden = [payload]
    if kind == "tcp":
        stamps, cookie = secret.randbytes(8), secret.randbytes(8)
        options = choice.choice([b"", b"\x01\x01\x08\x0a" + stamps, b"\x02\x04\x05\xb4\x22\x0a" + cookie + b"\x00!"])
        body = bytearray(
            writer.tcp(*ports, payload, seq=choice.randrange(1 << 32), flags=choice.randrange(1 << 9), options=options)
        )
        body[16:20] = secret.randbytes(4)  # checksum and urgent pointer
        number = 6
        hidden += [stamps, cookie]
    elif kind == "udp":
        body, number = bytearray(writer.udp(*ports, payload)), 17
        if choice.random() < 0.5:
            body[6:8] = bytes([secret.randrange(1, 256), secret.randrange(256)])
    else:
        number = {"icmp": 1 if version == 4 else 58, "gre": 47, "esp": 50, "ip in ip": 4, "later fragment": 6}[kind]
        start = bytes([choice.choice([0, 3, 5, 8]), choice.randrange(4)]) if kind == "icmp" else secret.randbytes(2)
        quoted = writer.ipv4(*ENDS[4], 6, secret.randbytes(20))
        body = bytearray(start + secret.randbytes(6) + quoted + payload)
        hidden += [ip_address(end).packed for end in ENDS[4]]
    more = choice.random() < 0.2
    later = kind == "later fragment"
    if version == 4:
        ident = choice.randrange(1 << 16) if more or later else secret.randrange(1 << 16)
        route = secret.randbytes(8)
        around = choice.choice(
            [b"", b"\x83\x0b\x04" + route + b"\x00", b"\x44\x0c\x05\x01" + route, secret.randbytes(40)]
        )
        packet = bytearray(
            writer.ipv4(
                *ends, number, bytes(body), ident=ident, options=around, ttl=choice.randrange(1, 256),
                flags_fragment=0x2000 * more | 100 * later,
            )
        )  # fmt: skip
        packet[10:12] = secret.randbytes(2)
    else:
        via = str(ip_address(secret.randbytes(16)))
        extensions = [
            extension
            for extension in (
                writer.hop_by_hop(b"\x1e\x0a" + secret.randbytes(10)),
                writer.routing(via, via),
                writer.destination_options(b"\xc9\x10" + ip_address(via).packed),
                writer.authentication(secret.randbytes(12)),
            )
            if choice.random() < 0.3
        ]
        if more or later:
            extensions.append(writer.fragment(800 * later, more, choice.randrange(1 << 32)))
        packet = bytearray(writer.ipv6(*ends, number, bytes(body), extensions=extensions))
        packet[1:4] = bytes([secret.randrange(16), *secret.randbytes(2)])  # flow label
        hidden.append(ip_address(via).packed)
    whole = writer.link(name, bytes(packet))
    place = whole.index(bytes(packet))
    after = secret.randbytes(choice.choice([0, 4, 30])) if name != "ethernet snap" else b""
    trailer = secret.randbytes(len(whole) - place - len(packet))
    data = _secret_header(name, whole[:place], secret) + bytes(packet) + trailer + after
    hidden += [after, trailer, *(ip_address(end).packed for end in ends)]
    cut = choice.choice([None, None, None, place + 40 + choice.randrange(60)])
    return data[:cut], [one for one in hidden if len(one) >= 6 or one in map(_packed, ends)]


def _packed(address: str) -> bytes:
    return ip_address(address).packed


def _capture(secret: int, choice: int) -> tuple[bytes, list[bytes]]:
    """Give a pcapng file of nasty frames, and what must be nowhere in the anonymised one."""
    hide, choose = random.Random(secret), random.Random(choice)
    out = bytearray(writer.section_header())
    hidden = [hide.randbytes(9).hex().encode() for _ in range(3)]
    links: dict[int, int] = {}
    blocks = bytearray()
    for number in range(choose.randrange(1, 12)):
        state = choose.getstate()
        link = LINKS[choose.choice(list(LINKS))][0]
        choose.setstate(state)  # `_nasty` draws the same name first
        data, secrets = _nasty(hide, choose)
        hidden += secrets
        interface = links.setdefault(link, len(links))
        frame = Frame(data, START + number, len(data) + choose.choice([0, 0, 900]), interface)
        blocks += writer.enhanced_packet(frame, tsresol=9, options=[(1, hidden[0])])
        blocks += writer.name_resolution_block(name=hidden[2].decode())
    for link in links:
        out += writer.interface(link, tsresol=9, options=[(2, hidden[1]), (3, hidden[2])])
    return bytes(out + blocks), hidden


SEEDS = st.integers(0, 2**32)


@given(SEEDS, SEEDS, SEEDS)
@quick
def test_nothing_that_is_to_be_hidden_changes_a_byte(one: int, other: int, choice: int) -> None:
    """Two captures that differ only in what is to be hidden become the same one."""
    with_table = []
    for secret in (one, other):
        data, hidden = _capture(secret, choice)
        trace = read(data)
        assert trace.source.packets == trace.source.frames
        same = toolkit.anonymise(trace, key=KEY)
        written = same.storage.parts[0].tobytes()
        for each in hidden:
            assert each not in written
        with_table.append((written, [column.tolist() for column in same.columns._replace(tls_type=same.columns.marks)]))
    assert with_table[0] == with_table[1]


def test_payload_may_be_kept_but_nothing_else_is() -> None:
    """With `keep_payload`, what two captures differ in is in the payload of TCP and UDP, and in checksums."""
    for choice in range(40):
        one, other = (toolkit.anonymise(read(_capture(s, choice)[0]), key=KEY, keep_payload=True) for s in (1, 2))
        a, b = (trace.storage.parts[0].copy() for trace in (one, other))
        for trace, data in ((one, a), (other, b)):
            for row in range(len(trace)):
                first = int(trace.column("frame_offset")[row] + trace.column("payload_start")[row])
                data[first : first + int(trace.column("payload_captured")[row])] = 0
        differ = np.flatnonzero(a != b)
        allowed: set[int] = set()
        for row in range(len(one)):
            first = int(one.column("frame_offset")[row])
            last = first + int(one.column("payload_start")[row])
            body = one.column("protocol")[row]
            if body in (6, 17) and one.column("payload_length")[row]:
                allowed |= set(range(first, last))
        assert set(differ.tolist()) <= allowed


def needs_tshark() -> str:
    program = shutil.which("tshark")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("tshark is not installed")
        pytest.skip("tshark is not installed")
    return program


CHECKS = [word for layer in ("ip", "tcp", "udp") for word in ("-o", f"{layer}.check_checksum:TRUE")]


@pytest.mark.parametrize("keep", [False, True])
def test_tshark_finds_every_checksum_right(tmp_path: Path, keep: bool) -> None:
    """Twenty nasty captures in one, of which tshark also sees the addresses that it should."""
    parts = [read(_capture(seed, seed)[0]) for seed in range(20)]
    trace = toolkit.concat([part for part in parts if len(part)])
    path = toolkit.write_anonymised(trace, tmp_path / "public.pcapng", key=KEY, keep_payload=keep)
    written = path.read_bytes()
    kept = b"".join(bytes(trace.payload(row)) for row in range(len(trace))) if keep else b""
    for seed in range(20):
        for each in _capture(seed, seed)[1]:
            assert each in kept or each not in written
    fields = [
        "frame.number",
        "ip.checksum.status",
        "tcp.checksum.status",
        "udp.checksum.status",
        "icmp.checksum.status",
    ]
    fields += ["icmpv6.checksum.status", "ip.src", "ipv6.src", "ip.flags.mf", "ipv6.fraghdr.more", "frame.cap_len"]
    names = [word for name in fields for word in ("-e", name)]
    defragment = ["-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
    command = [
        needs_tshark(),
        "-n",
        *CHECKS,
        *defragment,
        "-r",
        str(path),
        "-T",
        "fields",
        "-E",
        "occurrence=f",
        *names,
    ]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(found) == len(trace)
    seen = set()
    good = 0
    for line, fragment in zip(found, trace.column("marks") & 3, strict=True):
        number, *statuses, source, source6, _, _, _ = line.split("\t")
        seen |= {source, source6}
        good += statuses.count("1")
        assert statuses[0] != "0", number
        if not fragment:
            assert "0" not in statuses, (number, statuses)
    assert good > 80
    assert seen - {""} == set(mapped([ENDS[4][0], ENDS[6][0]]))


def test_tshark_finds_ip_behind_every_link_layer_that_it_did(tmp_path: Path) -> None:
    """What is left of a header is enough for others, too: the same layers, and IP with the new address."""
    made = [Frame(frames(name)[0], START, interface=i) for i, name in enumerate(LINKS)]
    before, after = tmp_path / "before.pcapng", tmp_path / "after.pcapng"
    before.write_bytes(writer.pcapng(made, linktypes=[number for number, _ in LINKS.values()], tsresol=[9]))
    toolkit.write_anonymised(toolkit.read(before), after, key=KEY, keep_payload=True)
    fields = ["frame.protocols", "ip.src", "ipv6.src", "_ws.malformed"]
    found = []
    for path in (before, after):
        command = [needs_tshark(), "-n", "-r", str(path), "-T", "fields", *(w for name in fields for w in ("-e", name))]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
        found.append([line.split("\t") for line in lines])
    assert len(found[0]) == len(LINKS)
    names = dict(zip(("", ENDS[4][0], ENDS[6][0]), ("", *mapped([ENDS[4][0], ENDS[6][0]])), strict=True))
    # pppd's link type and big-endian netfilter logs are not known to tshark
    assert sum(bool(four or six) for _, four, six, _ in found[0]) >= len(LINKS) - 3
    assert found[1] == [[layers, names[four], names[six], bad] for layers, four, six, bad in found[0]]


def test_every_checksum_of_a_real_capture(tmp_path: Path) -> None:
    path = toolkit.write_anonymised(toolkit.load_example("https"), tmp_path / "public.pcap", key=KEY)
    bad = "ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || _ws.malformed"
    command = [needs_tshark(), "-n", *CHECKS, "-r", str(path), "-Y", bad]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == ""
    good = "tcp.checksum.status == 1 && ip.checksum.status == 1"
    found = subprocess.run([*command[:-1], good], capture_output=True, text=True, check=True).stdout
    assert len(found.splitlines()) == len(toolkit.load_example("https"))


# The table beside


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return toolkit.write_anonymised(toolkit.load_example("https"), tmp_path / "public.pcap", key=KEY)


def test_the_table_has_what_is_needed_and_nothing_else(written: Path) -> None:
    trace = toolkit.load_example("https")
    table = pd.read_parquet(table_path(written))
    assert {name: str(kind) for name, kind in table.dtypes.items()} == {
        "time": "datetime64[ns, UTC]",
        "payload_length": "int32",
        "tls_type": "uint8",
        "entropy": "float64",
    }
    assert table["entropy"].tolist() == toolkit.payload_entropy(trace).tolist()
    assert table["tls_type"].tolist() == trace.column("tls_type").tolist()
    assert table["tls_type"].any()
    assert sorted(os.listdir(written.parent)) == ["public.pcap", "public.pcap.payload.parquet"]


def test_what_is_read_has_the_entropy_and_the_types(written: Path) -> None:
    same, again = public("https"), toolkit.read(written, strict=True)
    same_columns(same, again)
    assert toolkit.payload_entropy(again).tolist() == toolkit.payload_entropy(same).tolist()
    assert not again.column("tls_type").flags.writeable
    # written on, it has a table again; without, the earlier one goes
    part = again[:100].to_pcap(written.with_name("part.pcap"))
    assert toolkit.payload_entropy(toolkit.read(part)).tolist() == toolkit.payload_entropy(same)[:100].tolist()
    toolkit.load_example("obfs4").to_pcap(part)
    assert sorted(os.listdir(written.parent)) == ["part.pcap", "public.pcap", "public.pcap.payload.parquet"]


def test_the_table_is_found_when_the_capture_is_compressed(written: Path) -> None:
    packed = written.with_name("public.pcap.gz")
    packed.write_bytes(gzip.compress(written.read_bytes(), 1))
    written.unlink()
    assert toolkit.payload_entropy(toolkit.read(packed, strict=True)).max() > 7


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda table: table[1:], "a table of "),
        (lambda table: table[::-1], "another time or payload length in row 0"),
        (lambda table: table.assign(payload_length=table["payload_length"] + (table.index == 5)), "in row 5"),
        (lambda table: table.assign(entropy=table["entropy"] - 1), "an entropy that is not from 0 to 8"),
        (lambda table: table.assign(entropy=np.nan), "an entropy that is not from 0 to 8"),
        (lambda table: table.drop(columns="tls_type"), "tls_type"),
        (lambda table: table.assign(entropy="much"), "could not convert"),
        (None, "Parquet"),
    ],
)
def test_a_table_that_does_not_fit_is_not_taken(written: Path, change: Any, found: str) -> None:
    path = table_path(written)
    if change is None:
        path.write_bytes(b"not a table at all")
    else:
        table = change(pd.read_parquet(path))
        table.assign(payload_length=table["payload_length"].astype("int32")).to_parquet(path)
    with pytest.warns(CaptureWarning, match=f"{path.name}, found .*{found}.*; entropy and TLS types are of the bytes"):
        trace = toolkit.read(written)
    assert trace.kept_entropy is None
    assert not trace.column("tls_type").any()
    assert trace.source.problems
    with pytest.raises(toolkit.CaptureError, match=found):
        toolkit.read(written, strict=True)


def test_a_table_without_pyarrow_is_said(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pandas.io.parquet.import_optional_dependency", _no_pyarrow)
    with pytest.warns(CaptureWarning, match="that pyarrow is not installed"):
        toolkit.read(written)


def test_with_its_payload_there_is_no_table(tmp_path: Path) -> None:
    trace = toolkit.load_example("obfs4")
    toolkit.write_anonymised(trace, tmp_path / "out.pcap", key=KEY)
    path = toolkit.write_anonymised(trace, tmp_path / "out.pcap", key=KEY, keep_payload=True)
    assert os.listdir(tmp_path) == ["out.pcap"]
    again = toolkit.read(path)
    assert all(bytes(again.payload(i)) == bytes(trace.payload(i)) for i in range(len(trace)))
    assert again.kept_entropy is None


def test_packets_without_frames() -> None:
    packet = Packet(START, "10.0.0.1", "10.0.0.2", TCP, 45, payload=b"hello")
    with pytest.raises(ToolkitError, match="packet 0 came from no capture file: it has no frame to anonymise"):
        toolkit.anonymise(from_dicts([packet]), key=KEY)


def test_no_packets(tmp_path: Path) -> None:
    nothing = toolkit.load_example("obfs4")[:0]
    assert len(toolkit.anonymise(nothing, key=KEY)) == 0
    assert len(toolkit.read(toolkit.write_anonymised(nothing, tmp_path / "out.pcap", key=KEY), strict=True)) == 0


# Keys


def test_a_new_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    before = os.umask(0)
    try:
        key = toolkit.new_key(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert toolkit.read_key(path) == key
    assert len(key) == 32
    with pytest.raises(FileExistsError):
        toolkit.new_key(path)
    assert toolkit.read_key(path) == key
    assert toolkit.new_key(tmp_path / "other.txt") != key


@pytest.mark.parametrize(
    ("text", "found"), [("ab" * 31, "62 characters"), ("x" * 64, "other characters"), ("ab " * 21 + "a", "other")]
)
def test_a_file_that_is_no_key(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "key.txt"
    path.write_text(text)
    with pytest.raises(
        ToolkitError, match=rf"key\.txt: expected a key of 64 hexadecimal digits, found {found}"
    ) as error:
        toolkit.read_key(path)
    assert text not in str(error.value)
    path.write_bytes(b"\xff" * 64)
    with pytest.raises(ToolkitError, match=r"key\.txt: "):
        toolkit.read_key(path)


# The command


OBFS4 = str(toolkit.example("obfs4").path)


def run(*arguments: object, **environment: str) -> Result:
    result = CliRunner(env=environment).invoke(main, ["anonymise", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_command(tmp_path: Path) -> None:
    out, key = tmp_path / "public.pcap", tmp_path / "key.txt"
    result = run(OBFS4, "-o", out, "--new-key", key, "-c", "10.77.0.0/24")
    assert result.exit_code == 0, result.output
    network = toolkit.anonymise_networks("10.77.0.0/24", key=toolkit.read_key(key))[0]
    assert result.stdout == (
        f"wrote {out}: 1,425 packets\nwrote {out}.payload.parquet: entropy and TLS types\n"
        f"wrote {key}: the key, which undoes the pseudonyms; keep it to yourself\n10.77.0.0/24 is {network}\n"
    )
    assert key.read_text().strip() not in result.output
    again = tmp_path / "again.pcap"
    assert run(OBFS4, "-o", again, "--key-file", key).exit_code == 0
    assert again.read_bytes() == out.read_bytes()
    again.unlink()
    assert run(OBFS4, "-o", again, TOOLKIT_KEY=key.read_text()).exit_code == 0
    assert again.read_bytes() == out.read_bytes()
    result = run(OBFS4, "-o", again, "--key-file", key, "--keep-payload")
    assert "payload is kept: it may name people and machines" in result.stdout
    table = CliRunner().invoke(main, ["features", str(out), "-c", str(network), "-f", "entropy"]).stdout
    before = CliRunner().invoke(main, ["features", OBFS4, "-c", "10.77.0.0/24", "-f", "entropy"]).stdout
    assert [line.split(",")[2:] for line in table.splitlines()] == [line.split(",")[2:] for line in before.splitlines()]


def test_wrong_use_of_the_command(tmp_path: Path) -> None:
    out, key = tmp_path / "public.pcap", tmp_path / "key.txt"
    assert "give --key-file, --new-key or the environment variable TOOLKIT_KEY" in run(OBFS4, "-o", out).stderr
    assert run(OBFS4, "-o", out).exit_code == 2
    result = run(OBFS4, "-o", out, TOOLKIT_KEY="secret")
    assert (result.exit_code, result.stderr) == (
        1,
        "Error: TOOLKIT_KEY: expected a key of 64 hexadecimal digits, found 6 characters\n",
    )
    toolkit.new_key(key)
    result = run(OBFS4, "-o", out, "--new-key", key)
    assert (result.exit_code, result.stderr) == (1, f"Error: {key}: File exists\n")
    assert "exclude each other" in run(OBFS4, "-o", out, "--new-key", "x", "--key-file", key).stderr
    assert run(OBFS4, "-o", out, "--key-file", tmp_path / "absent").stderr.endswith(
        "absent: No such file or directory\n"
    )
    assert not out.exists()
    copy = tmp_path / "in.pcap"
    shutil.copy(OBFS4, copy)
    result = run(copy, "-o", copy, "--key-file", key)
    assert result.exit_code == 2
    assert "is the capture itself" in result.stderr
    key.chmod(0o644)
    result = run(OBFS4, "-o", out, "--key-file", key)
    assert result.exit_code == 0
    assert result.stderr == f"warning: others can read {key}: chmod 600 {key}\n"


# Files that are passed on name no folder of the machine


def test_no_saved_file_names_a_folder_of_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The figure of the explorer, its table and state; the report; the standard figures; the anonymised capture."""
    home, folder = tmp_path / "home-of-somebody", tmp_path / "results"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    captures = [home / "one.pcap", home / "two.pcap"]
    for path, name in zip(captures, ("https", "obfs4"), strict=True):
        data = toolkit.example(name).path.read_bytes()
        path.write_bytes(
            data[: len(data) // 2 + 7]
        )  # cut, and no packaged capture any more: with a warning that names it
    with pytest.warns(CaptureWarning, match="home-of-somebody"):
        traces = [toolkit.read(path) for path in captures]
    explorer = toolkit.explore(traces, clients=["10.77.0.0/16"], time_window="10s", packet_window=20)
    assert "home-of-somebody" in explorer.to_code()  # which is to run here
    for tab in ("lengths", "bandwidth", "intervals", "entropy", "windows", "features", "packets", "health"):
        explorer.state.tab = tab
        if tab not in ("packets", "health"):
            explorer.save_figure(f"explorer-{tab}", folder=folder)
        for suffix in ("csv", "parquet"):
            explorer.save_table(folder / f"{tab}.{suffix}")
    explorer.save_state(folder / "state.json")
    toolkit.write_report(toolkit.concat(traces), folder / "report.html")
    figure = toolkit.plot_entropy(toolkit.entropy_counts(traces[0])).figure
    toolkit.save_figure(
        figure, "own", params={"file": captures[0], "call": captures[1]}, traces=captures, folder=folder
    )
    done = CliRunner().invoke(
        main,
        ["figures", *map(str, captures), "-o", str(folder / "standard"), "-c", "10.77.0.0/16", "--only", "entropy"],
    )
    assert done.exit_code == 0, done.output
    table = folder / "features.csv"
    done = CliRunner().invoke(main, ["features", str(captures[0]), "-c", "10.77.0.0/16", "-o", str(table)])
    assert done.exit_code == 0, done.output
    toolkit.write_anonymised(toolkit.concat(traces), folder / "public.pcapng", key=KEY)
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {
        *(".json", ".csv", ".parquet", ".pdf", ".png", ".html", ".md", ".pcapng")
    }
    assert len(files) > 40
    for path in files:
        content = path.read_bytes()
        for word in (b"home-of-somebody", os.fsencode(tmp_path), os.fsencode(Path(__file__).parents[1])):
            assert word not in content, path
    assert b'"call": "import toolkit' in (folder / "explorer-lengths.json").read_bytes()
    assert b'toolkit.read(\\"one.pcap\\")' in (folder / "explorer-lengths.json").read_bytes()


def test_fields_of_wireshark_leave_the_entropy_kept() -> None:
    public = toolkit.anonymise(toolkit.load_example("obfs4"), key=KEY)
    more = public.with_fields({"tcp.len": pd.Categorical(["0"] * len(public))})
    assert public.kept_entropy is not None
    assert np.array_equal(toolkit.payload_entropy(more), toolkit.payload_entropy(public))
