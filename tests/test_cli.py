"""The command line: what it prints, writes, and how it fails."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from making import capture
from PIL import Image
from reference import UDP, Packet

import toolkit
from toolkit.capture import reader
from toolkit.cli import main

OBFS4 = str(toolkit.example("obfs4").path)


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, arguments, catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_info() -> None:
    result = run("info", OBFS4)
    assert result.exit_code == 0
    assert "packets  1,425" in result.stdout
    assert "10.77.0.11" in result.stdout
    assert "nothing found of 16 things looked for" in result.stdout
    assert result.stderr == ""


COMMANDS = {
    "info": ["info"],
    "report": ["report", "-o", "page.html"],
    "clusters": ["clusters"],
    "features": ["features", "-c", "10.77.0.0/24"],
    "figures": ["figures", "--only", "length-bins"],
    "anonymise": ["anonymise", "-o", "out.pcap", "--new-key", "key.txt"],
}
"""Every command that reads captures, with what it needs besides."""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_that_reads_takes_a_limit(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("packed").write_bytes(gzip.compress(Path(OBFS4).read_bytes()))
    asked: list[int] = []

    def limited(*arguments: Any) -> Any:
        asked.append(arguments[2])
        raise toolkit.CaptureError("packed", "a", "b")  # enough is known

    monkeypatch.setattr(reader, "open_capture", limited)
    for text, size in (("5000", 5_000), ("3k", 3 << 10), ("70M", 70 << 20), ("10G", 10 << 30), ("2T", 2 << 40)):
        asked.clear()
        result = run(*COMMANDS[command], "packed", "--max-decompressed", text)
        assert result.exit_code == 1, result.output
        assert asked == [size]
    for text in ("0", "-1", "1.5G", "10 G", "G", "1e9", "٣"):
        result = run(*COMMANDS[command], "packed", "--max-decompressed", text)
        assert (result.exit_code, asked) == (2, [size])
        assert "must be a number of bytes above 0, or one with K, M, G or T behind" in result.stderr


def test_the_limit_is_told_with_how_to_raise_it(tmp_path: Path) -> None:
    path = tmp_path / "packed"
    path.write_bytes(gzip.compress(Path(OBFS4).read_bytes()))
    result = run("info", str(path), "--max-decompressed", "10K")
    assert result.exit_code == 0
    assert result.stderr.count("warning: ") == 1
    assert "give more: `max_decompressed` of `read`, --max-decompressed on the command line\n" in result.stderr
    assert run("info", str(path), "--max-decompressed", "10M").stderr == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_a_dash_is_no_standard_input(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*COMMANDS[command], "-")
    assert result.exit_code == 2
    assert f"- is no file; for standard input: toolkit {command} /dev/stdin < FILE" in result.stderr
    Path("-").write_bytes(Path(OBFS4).read_bytes())  # a file may be called that
    assert run("info", "-").exit_code == 0


def test_info_of_no_packet(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pcapng"
    empty.write_bytes(capture([]))
    result = run("info", str(empty))
    assert result.exit_code == 0
    assert "packets  0" in result.stdout
    assert result.stderr == ""


def test_clusters_prints_and_writes_what_the_function_finds(tmp_path: Path) -> None:
    output = tmp_path / "clusters.csv"
    result = run("clusters", OBFS4, "-c", "10.77.0.11", "-b", "5", "--top", "3", "-o", str(output))
    assert result.exit_code == 0, result.output
    expected = toolkit.cluster_lengths(toolkit.load_example("obfs4").select(clients="10.77.0.11"), bandwidth=5)
    assert repr(expected) in result.stdout
    pd.testing.assert_frame_equal(pd.read_csv(output, index_col="cluster"), expected.to_frame(), check_index_type=False)
    assert "written" not in result.stderr


def test_clusters_auto_bandwidth_and_udp() -> None:
    width = toolkit.suggest_bandwidth(toolkit.load_example("obfs4"))
    assert f"bandwidth={width:g} bytes" in run("clusters", OBFS4, "-b", "auto").stdout
    assert "0 clusters" in run("clusters", OBFS4, "--protocol", "udp").stdout


def test_clusters_of_udp_and_their_limits(tmp_path: Path) -> None:
    path, output = tmp_path / "udp", tmp_path / "clusters.csv"
    sizes = [0, 10, 10, 10, 400, 1_400]
    packets = [Packet(0, "10.0.0.1", "192.0.2.9", UDP, 28 + size, 1, 53, payload=bytes(size)) for size in sizes]
    path.write_bytes(capture(packets))
    result = run("clusters", str(path), "--protocol", "udp", "--min-length", "30", "--top", "1", "-o", str(output))
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0] == "LengthClusters(2 clusters of 4 packets, bandwidth=3 bytes, 33.3% left out)"
    assert f"wrote {output}" in result.stdout
    assert pd.read_csv(output)["packets"].tolist() == [3, 1]  # all of them, whatever was printed
    assert "428" not in result.stdout
    tls = toolkit.cluster_lengths(toolkit.load_example("https"), tls_only=True, max_length=600)
    https = str(toolkit.example("https").path)
    assert repr(tls) in run("clusters", https, "--tls-only", "--max-length", "600").stdout


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_features_writes_the_table(tmp_path: Path, suffix: str) -> None:
    output = tmp_path / f"new folder/features.{suffix}"
    arguments = ["-c", "10.77.0.11,10.77.0.12", "-c", "10.77.0.13", "-w", "30s", "-n", "20", "-f", "psh,entropy"]
    result = run("features", OBFS4, *arguments, "--remainder", "keep", "-o", str(output))
    assert result.exit_code == 0, result.output
    expected = toolkit.client_features(
        toolkit.load_example("obfs4"), "10.77.0.0/24", time_window="30s", packet_window=20,
        features=["psh", "entropy"], remainder="keep",
    )  # fmt: skip
    keys = ["client", "target", "time_window", "window"]
    written = pd.read_csv(output, index_col=keys) if suffix == "csv" else pd.read_parquet(output)
    pd.testing.assert_frame_equal(written.reset_index(), expected.reset_index(), check_dtype=False)
    assert [path.name for path in output.parent.iterdir()] == [output.name]  # no temporary file left
    assert f"{len(expected)} windows, {expected.shape[1]} features" in result.stdout
    plain = tmp_path / "plain"
    plain.touch()
    assert output.stat().st_mode == plain.stat().st_mode


def test_features_to_standard_output() -> None:
    lines = run("features", OBFS4, "-c", "10.77.0.0/24", "-f", "psh").stdout.splitlines()
    assert lines[0] == "client,target,time_window,window,push_ratio_up,push_ratio_down,up_down_ratio"
    assert len(lines) == 1 + len(toolkit.client_features(toolkit.load_example("obfs4"), "10.77.0.0/24"))


def test_report_is_named_after_the_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("report", OBFS4)
    assert result.exit_code == 0, result.output
    assert (result.stdout, result.stderr) == ("wrote obfs4.html\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["obfs4.html"]
    page = Path("obfs4.html").read_text("utf-8")
    assert "Clients: 10.77.0.11, 10.77.0.12, 10.77.0.13 (not given" in page
    assert page.count("<img ") == 7


def test_report_of_given_clients_warns_of_the_capture(tmp_path: Path) -> None:
    cut, output = tmp_path / "cut.pcap", tmp_path / "new" / "page.html"
    cut.write_bytes(Path(OBFS4).read_bytes()[:-10])
    strict = run("report", "--strict", str(cut), "-o", str(output))
    assert (strict.exit_code, strict.stdout, strict.stderr.count("\n")) == (1, "", 1)
    assert not output.parent.exists()
    result = run("report", str(cut), "-c", "10.77.0.11", "-c", "10.77.0.12,10.77.0.99", "-o", str(output))
    assert result.exit_code == 0, result.output
    assert result.stdout == f"wrote {output}\n"
    assert result.stderr.startswith(f"warning: {cut} (packet 1425, offset ")
    assert result.stderr.count("\n") == 1
    page = output.read_text("utf-8")
    assert "Clients: 10.77.0.11, 10.77.0.12, 10.77.0.99</p>" in page
    assert str(tmp_path) not in page


@pytest.mark.parametrize("name", [".", "..", "/", "no.pcap", ""])
def test_report_of_what_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("report", name)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_report_never_replaces_the_capture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a capture plays no part, so it may be the one that the report would have."""
    monkeypatch.chdir(tmp_path)
    data = Path(OBFS4).read_bytes()
    for name, arguments in (("trace.html", []), ("trace.pcap", ["-o", f"../{tmp_path.name}/trace.pcap"])):
        Path(name).write_bytes(data)
        result = run("report", name, *arguments)
        assert result.exit_code == 2
        assert "is the capture itself: give another --output" in result.stderr
        assert Path(name).read_bytes() == data


def test_report_that_fails_leaves_the_old_page(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text("the old page")
    none = run("report", OBFS4, "-c", "192.0.2.0/24", "-o", str(page))
    assert (none.exit_code, none.stdout) == (1, "")
    assert "no packet has a client in 192.0.2.0/24; the busiest hosts are 10.77.0.11 (533 packets)" in none.stderr
    assert none.stderr.count("\n") == 1
    blocked = run("report", OBFS4, "-o", str(page / "below.html"))
    assert (blocked.exit_code, blocked.stdout, blocked.stderr.count("\n")) == (1, "", 1)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("page.html", "the old page")]


def test_demo_writes_a_table_a_picture_and_a_page(tmp_path: Path) -> None:
    result = run("demo", "-o", str(tmp_path / "demo"))
    assert result.exit_code == 0, result.output
    files = sorted((tmp_path / "demo").iterdir())
    assert [path.name for path in files] == ["obfs4-features.csv", "obfs4-overview.png", "obfs4-report.html"]
    assert all(f"  {path}\n" in result.stdout for path in files)
    assert "22 windows, 55 features" in result.stdout
    assert result.stderr == ""
    trace = toolkit.load_example("obfs4")
    assert repr(toolkit.cluster_lengths(trace)) in result.stdout
    expected = toolkit.client_features(trace, toolkit.example("obfs4").clients)
    written = pd.read_csv(files[0], index_col=["client", "target", "time_window", "window"])
    pd.testing.assert_frame_equal(written.reset_index(), expected.reset_index(), check_dtype=False)
    with Image.open(files[1]) as picture:
        picture.load()
        assert (picture.format, picture.size) == ("PNG", (1_350, 1_350))
    page = files[2].read_text("utf-8")
    assert f"Clients: {', '.join(toolkit.example('obfs4').clients)}</p>" in page
    assert page.endswith("</html>\n")


def test_demo_that_cannot_write_is_one_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    result = run("demo", "-o", str(blocked / "below"))
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1


def test_a_cut_capture_warns_in_one_line_and_strict_fails(tmp_path: Path) -> None:
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(Path(OBFS4).read_bytes()[:-10])
    result = run("info", str(cut))
    assert result.exit_code == 0
    assert "packets  1,424" in result.stdout
    assert result.stderr.startswith(f"warning: {cut} (packet 1425, offset ")
    assert result.stderr.count("\n") == 1
    strict = run("info", "--strict", str(cut))
    assert strict.exit_code == 1
    assert strict.stderr.count("\n") == 1
    assert strict.stdout == ""


@pytest.mark.parametrize("command", [["info"], ["clusters"], ["features", "-c", "10.0.0.1"], ["report"]])
def test_a_bad_file_is_one_line_and_code_1(command: list[str], tmp_path: Path) -> None:
    text = tmp_path / "text.pcap"
    text.write_text("hello, not a capture\n")
    empty = tmp_path / "empty.pcap"
    empty.touch()
    for path, words in (
        (text, "hello"),
        (empty, "empty file"),
        (tmp_path, "directory"),
        (tmp_path / "no", "no such file"),
    ):
        result = run(command[0], str(path), *command[1:])
        assert result.exit_code == 1
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
        assert result.stdout == ""


def test_a_client_that_matches_nothing_names_the_busiest_hosts() -> None:
    result = run("features", OBFS4, "-c", "192.0.2.0/24")
    assert result.exit_code == 1
    assert "no packet has a client in 192.0.2.0/24; the busiest hosts are 10.77.0.11 (533 packets)" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["features", OBFS4], "Missing option '-c' / '--client'"),
        (["features", OBFS4, "-c", "10.77.0.1/24"], "has host bits set"),
        (["features", OBFS4, "-c", "client"], "must be an address or a network"),
        (["features", OBFS4, "-c", "10.77.0.0/24", "-w", "60"], "must have a unit"),
        (["features", OBFS4, "-c", "10.77.0.0/24", "-w", "0s"], "more than 0 s"),
        (["features", OBFS4, "-c", "10.77.0.0/24", "-n", "0"], "0 is not in the range"),
        (["features", OBFS4, "-c", "10.77.0.0/24", "-f", "entropi"], "no feature set or feature 'entropi'"),
        (["features", OBFS4, "-c", "10.77.0.0/24", "-o", "table.xlsx"], "must end in .csv or .parquet"),
        (["clusters", OBFS4, "-b", "0"], "above 0"),
        (["clusters", OBFS4, "-b", "wide"], "above 0 or 'auto', got 'wide'"),
        (["clusters", OBFS4, "--min-length", "9", "--max-length", "8"], "--min-length 9 is above --max-length 8"),
        (["clusters", OBFS4, "--protocol", "udp", "--tls-only"], "--tls-only goes with --protocol tcp"),
        (["report", OBFS4, "-c", "10.77.0.1/24"], "has host bits set"),
        (["report", OBFS4, "-o", "."], "is a directory"),
        (["report"], "Missing argument 'FILE'"),
        (["demo", OBFS4], "Got unexpected extra argument"),
        (["info"], "Missing argument 'FILE'"),
        (["inform"], "No such command 'inform'"),
    ],
)
def test_wrong_usage_is_code_2(arguments: list[str], words: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_an_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    result = run("features", OBFS4, "-c", "10.77.0.0/24", "-o", str(blocked / "features.csv"))
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["info", "report", "clusters", "features", "demo"])
def test_help_has_an_example_or_says_what_it_does(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert command == "demo" or f"toolkit {command} trace.pcap" in result.stdout
    assert f"{command}  " in run("--help").stdout


def test_module_runs_and_prints_the_version() -> None:
    done = subprocess.run([sys.executable, "-m", "toolkit", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"toolkit, version {toolkit.__version__}\n"


def test_import_is_lazy() -> None:
    heavy = {"pandas", "numba", "matplotlib", "ipywidgets", "sklearn"}
    code = f"import sys, toolkit; print(*sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_public_name_exists() -> None:
    for name in toolkit.__all__:
        assert getattr(toolkit, name) is not None
