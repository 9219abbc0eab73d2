"""Pseudonyms of addresses, against published ones and other implementations, and the key that they depend on."""

from __future__ import annotations

import os
import random
import stat
import sys
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from anonymising import KEY, mapped, no_pyarrow
from hypothesis import given
from hypothesis import strategies as st
from making import quick
from reference_privacy import common_prefix, pseudonym
from yacryptopan import CryptoPAn

import toolkit
from toolkit import ToolkitError

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
    monkeypatch.setattr("pandas.io.parquet.import_optional_dependency", no_pyarrow)
    with pytest.raises(ToolkitError, match=rf"{message}: pip install 'traffic-toolkit\[privacy\]'"):
        toolkit.write_anonymised(toolkit.load_example("obfs4"), tmp_path / "out.pcap", key=KEY)
    assert not list(tmp_path.iterdir())


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
    with pytest.raises(FileExistsError, match=r"a file is there already, and may hold a key .*: '.*key\.txt'"):
        toolkit.new_key(path)
    assert toolkit.read_key(path) == key
    with pytest.raises(ToolkitError, match=r"absent/key\.txt: expected to write a new key there, found: No such file"):
        toolkit.new_key(tmp_path / "absent" / "key.txt")
    assert toolkit.new_key(tmp_path / "other.txt") != key


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ab" * 31, "62 characters"),
        ("x" * 64, "other characters"),
        ("ab " * 21 + "a", "other characters"),
        ("\u0661" * 64, "other characters"),  # digits of another script
        ("é" * 3_000, "other characters"),
        ("", "0 characters"),
    ],
)
def test_a_file_that_is_no_key(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "key.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(
        ToolkitError, match=rf"key\.txt: expected a key of 64 hexadecimal digits, found {found}"
    ) as error:
        toolkit.read_key(path)
    assert not text or text not in str(error.value)


def test_bytes_that_are_no_text_are_no_key(tmp_path: Path) -> None:
    path = tmp_path / "key.txt"
    for data in (b"\xff" * 64, bytes(64), bytes(range(256)) * 1_000):
        path.write_bytes(data)
        with pytest.raises(ToolkitError, match=r"key\.txt: expected a key of 64 .*, found other characters"):
            toolkit.read_key(path)


def test_a_key_that_cannot_be_read(tmp_path: Path) -> None:
    for path, found in ((tmp_path / "absent", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ToolkitError, match=rf"{path.name}: expected a file with a key, as .* found: {found}"):
            toolkit.read_key(path)
