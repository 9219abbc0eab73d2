"""Anonymised captures: results stay the same; the command; what else must not tell where it was made."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import writer
from anonymising import KEY, mapped, public
from capturing import START, read, sent_tcp, sent_udp
from click.testing import CliRunner, Result
from making import from_dicts
from reference import TCP, Packet
from writer import Frame

import toolkit
from toolkit import CaptureError, CaptureWarning, ToolkitError, Trace
from toolkit.cli import main
from toolkit.entropy import entropy_of

# Results stay the same


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


def test_fields_of_wireshark_leave_the_entropy_kept() -> None:
    public = toolkit.anonymise(toolkit.load_example("obfs4"), key=KEY)
    more = public.with_fields({"tcp.len": pd.Categorical(["0"] * len(public))})
    assert public.kept_entropy is not None
    assert np.array_equal(toolkit.payload_entropy(more), toolkit.payload_entropy(public))


def test_with_its_payload_there_is_no_table(tmp_path: Path) -> None:
    trace = toolkit.load_example("obfs4")
    toolkit.write_anonymised(trace, tmp_path / "out.pcap", key=KEY)
    path = toolkit.write_anonymised(trace, tmp_path / "out.pcap", key=KEY, keep_payload=True)
    assert os.listdir(tmp_path) == ["out.pcap"]
    again = toolkit.read(path)
    assert all(bytes(again.payload(i)) == bytes(trace.payload(i)) for i in range(len(trace)))
    assert again.kept_entropy is None


def test_records_of_tls_are_gone(tmp_path: Path) -> None:
    trace, gone = toolkit.load_example("https"), public("https")
    path = toolkit.write_anonymised(trace, tmp_path / "public.pcap", key=KEY)
    mixed = toolkit.concat([trace, gone])
    for name, one in {"packets": gone, "public.pcap": toolkit.read(path), "https.pcap, packets": mixed}.items():
        expected = (
            rf"^{name}: expected the bytes of TLS records, found zeros in 396 packets that start one: the capture "
        )
        with pytest.raises(CaptureError, match=expected + "was anonymised; .*`cluster_lengths"):
            toolkit.tls_records(one)
    assert len(toolkit.tls_records(mixed[: len(trace)])) > 500
    kept = toolkit.anonymise(toolkit.concat([trace, gone]), key=KEY, keep_payload=True)
    assert kept.kept_entropy is not None
    assert len(toolkit.tls_records(kept[: len(trace)])) == len(toolkit.tls_records(trace))
    assert len(toolkit.tls_records(public("obfs4"))) == len(toolkit.tls_records(toolkit.load_example("obfs4"))) == 0


def test_packets_without_frames() -> None:
    packet = Packet(START, "10.0.0.1", "10.0.0.2", TCP, 45, payload=b"hello")
    with pytest.raises(ToolkitError, match="packet 0 came from no capture file: it has no frame to anonymise"):
        toolkit.anonymise(from_dicts([packet]), key=KEY)


def test_no_packets(tmp_path: Path) -> None:
    nothing = toolkit.load_example("obfs4")[:0]
    assert len(toolkit.anonymise(nothing, key=KEY)) == 0
    assert len(toolkit.read(toolkit.write_anonymised(nothing, tmp_path / "out.pcap", key=KEY), strict=True)) == 0


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
        f"wrote {key}: the key; who has it can find the addresses, keep it to yourself\n10.77.0.0/24 is {network}\n"
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
        "Error: TOOLKIT_KEY: expected a key of 64 hexadecimal digits, found other characters\n",
    )
    toolkit.new_key(key)
    result = run(OBFS4, "-o", out, "--new-key", key)
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: {key}: a file is there already, and may hold a key that is still needed: use it, or give another "
        "name\n",
    )
    assert "exclude each other" in run(OBFS4, "-o", out, "--new-key", "x", "--key-file", key).stderr
    assert run(OBFS4, "-o", out, "--key-file", tmp_path / "absent").stderr == (
        f"Error: {tmp_path}/absent: expected a file with a key, as `new_key` (--new-key) writes it, found: No such "
        "file or directory\n"
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
    key.write_bytes(b"\xff" * 64)  # advice about what is no key would be none
    result = run(OBFS4, "-o", out, "--key-file", key)
    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: {key}: expected a key of 64 hexadecimal digits, found other characters\n",
    )


def test_the_key_is_not_written_over(tmp_path: Path) -> None:
    key, link = tmp_path / "key.txt", tmp_path / "link.txt"
    digits = toolkit.new_key(key).hex()
    link.symlink_to(key)
    new = tmp_path / "new.txt"
    for output, option, path in ((key, "--key-file", key), (link, "--key-file", key), (new, "--new-key", new)):
        result = run(OBFS4, "-o", output, option, path)
        assert (result.exit_code, f"{output} is the file of the key" in result.stderr) == (2, True), result.stderr
    assert key.read_text().strip() == digits
    assert not new.exists()


def test_which_key_comes_first(tmp_path: Path) -> None:
    paths = [tmp_path / "one.txt", tmp_path / "two.txt"]
    keys = [toolkit.new_key(path) for path in paths]
    out = tmp_path / "out.pcap"
    of_key = [toolkit.anonymise(toolkit.load_example("obfs4"), key=key).hosts for key in keys]
    assert run(OBFS4, "-o", out, "--key-file", paths[0], TOOLKIT_KEY=keys[1].hex()).exit_code == 0
    assert toolkit.read(out).hosts == of_key[0]
    assert run(OBFS4, "-o", out, TOOLKIT_KEY=keys[1].hex()).exit_code == 0
    assert toolkit.read(out).hosts == of_key[1]
    new = tmp_path / "new.txt"
    assert run(OBFS4, "-o", out, "--new-key", new, TOOLKIT_KEY=keys[1].hex()).exit_code == 0
    assert toolkit.read(out).hosts == toolkit.anonymise(toolkit.load_example("obfs4"), key=toolkit.read_key(new)).hosts
    said = " ".join(run("--help").stdout.split())
    assert "only if neither is given, the environment variable TOOLKIT_KEY has it" in said


@pytest.mark.parametrize(
    ("file", "output", "code", "message"),
    [
        ("absent.pcap", "out.pcap", 1, "absent.pcap"),
        (OBFS4, "out.pcap.gz", 2, "captures are written uncompressed"),
        (OBFS4, "key.txt/out.pcap", 1, "key.txt: Not a directory"),
    ],
)
def test_what_fails_leaves_no_new_key(tmp_path: Path, file: str, output: str, code: int, message: str) -> None:
    (tmp_path / "key.txt").touch()
    result = run(tmp_path / file, "-o", tmp_path / output, "--new-key", tmp_path / "new.txt")
    assert (result.exit_code, message in result.stderr) == (code, True), result.stderr
    assert os.listdir(tmp_path) == ["key.txt"]


def test_a_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    out = tmp_path / "some" / "folder" / "out.pcap"
    assert run(OBFS4, "-o", out, "--new-key", tmp_path / "new.txt").exit_code == 0
    assert toolkit.payload_entropy(toolkit.read(out, strict=True)).max() > 7


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
