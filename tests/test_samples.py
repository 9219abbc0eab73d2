"""The sample traces are what `samples.json` says, and whole connections of their sources."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
from pathlib import Path

import dpkt
import pytest

from toolkit import datasets

SAMPLES = Path(datasets.__file__).with_name("samples")
DOCUMENT = json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))
ENTRIES = {entry["name"]: entry for entry in DOCUMENT["samples"]}
each_sample = pytest.mark.parametrize("name", ENTRIES)


def frames(path: Path) -> list[tuple[int, bytes]]:
    """Time in µs and bytes of each frame, by dpkt's own reader."""
    with path.open("rb") as file:
        return [(round(time * 1_000_000), frame) for time, frame in dpkt.pcap.Reader(file)]


def ends(frame: bytes) -> frozenset[tuple[str, int]]:
    """Both endpoints of a TCP frame, in no order."""
    ip = dpkt.ethernet.Ethernet(frame).data
    return frozenset({(socket.inet_ntoa(ip.src), ip.data.sport), (socket.inet_ntoa(ip.dst), ip.data.dport)})


@each_sample
def test_the_metadata_agree_with_the_file(name: str) -> None:
    entry = ENTRIES[name]
    data = (SAMPLES / f"{name}.pcap").read_bytes()
    assert hashlib.sha256(data).hexdigest() == entry["sha256"]
    assert len(data) == entry["bytes"]
    packets = frames(SAMPLES / f"{name}.pcap")
    assert len(packets) == entry["packets"]
    assert (packets[-1][0] - packets[0][0]) / 1_000_000 == entry["duration"]
    connections = {ends(frame) for _, frame in packets}
    assert len(connections) == entry["connections"]
    hosts = {address for connection in connections for address, _ in connection}
    assert {host for host in hosts if host.startswith("10.77.0.")} == set(entry["clients"])
    assert set(entry["proxied_clients"]) <= set(entry["clients"])
    assert len(entry["clients"]) >= 2
    assert {server.partition(":")[0] for server in entry["servers"] if "-" not in server} <= hosts
    assert set(entry["emulated_path"]["server_delay_ms"]) == hosts - set(entry["clients"])


@each_sample
def test_proxied_clients_use_the_proxy_and_the_others_do_not(name: str) -> None:
    entry = ENTRIES[name]
    proxied = set()
    for connection in {ends(frame) for _, frame in frames(SAMPLES / f"{name}.pcap")}:
        addresses = {address for address, _ in connection}
        if any(address.startswith("10.77.1.") for address in addresses):
            proxied |= addresses & set(entry["clients"])
    assert proxied == set(entry["proxied_clients"])


def test_no_file_is_missing_or_too_many_and_all_are_small() -> None:
    files = {path.name: path.stat().st_size for path in SAMPLES.iterdir()}
    assert set(files) == {"samples.json", *(f"{name}.pcap" for name in ENTRIES)}
    assert sum(files.values()) <= 8_000_000


def test_obfs4_has_three_windows_of_a_minute() -> None:
    times = [time for time, _ in frames(SAMPLES / "obfs4.pcap")]
    assert {(time - min(times)) // 60_000_000 for time in times} == {0, 1, 2}


@pytest.mark.shared
def test_cutting_again_gives_the_same_bytes(shared: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name("cut_samples.py")
    subprocess.run([sys.executable, script, "--shared", shared, "-o", tmp_path], check=True)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in SAMPLES.iterdir()}
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (SAMPLES / path.name).read_bytes(), path.name


@pytest.mark.shared
@each_sample
def test_each_connection_is_whole(shared: Path, name: str) -> None:
    source = shared / "traces" / ENTRIES[name]["source"]["file"]
    assert hashlib.sha256(source.read_bytes()).hexdigest() == ENTRIES[name]["source"]["sha256"]
    sample = frames(SAMPLES / f"{name}.pcap")
    connections = {ends(frame) for _, frame in sample}
    assert sample == [(time, frame) for time, frame in frames(source) if ends(frame) in connections]


def test_examples_lists_every_sample() -> None:
    table = datasets.examples()
    assert table.index.name == "name"
    assert list(table.index) == list(ENTRIES)
    assert list(table) == ["label", "description", "clients", "packets", "megabytes", "duration", "software"]
    for name, entry in ENTRIES.items():
        assert table.loc[name, "clients"] == len(entry["clients"])
        assert table.loc[name, "megabytes"] == entry["bytes"] / 1e6


@each_sample
def test_example_gives_what_is_known(name: str) -> None:
    sample = datasets.example(name)
    assert sample.path.read_bytes() == (SAMPLES / f"{name}.pcap").read_bytes()
    assert list(sample.clients) == ENTRIES[name]["clients"]
    assert sample.sha256 == ENTRIES[name]["sha256"]


@each_sample
def test_load_example_reads_every_packet(name: str) -> None:
    trace = datasets.load_example(name)
    assert len(trace.packets) == ENTRIES[name]["packets"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("obsf4", r"one of https, .*, vmess_ws_tls, got 'obsf4'; did you mean 'obfs4'\?$"),
        ("", r"got ''$"),
        (None, r"got None"),
    ],
)
def test_an_unknown_name_says_which_there_are(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        datasets.load_example(name)
