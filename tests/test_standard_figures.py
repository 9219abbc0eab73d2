"""The standard figures: made from samples and captures, the same again, found out when they are not."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from matplotlib.figure import Figure
from matplotlib.image import imread, imsave

import toolkit
from toolkit import recipes, standard_figures
from toolkit.cli import main
from toolkit.recipes import RECIPES, Capture, Options, sample_captures
from toolkit.standard_figures import ink_difference, make_figure, picture_difference, verify_figure

FIGURES = Path(__file__).parent.parent / "figures"
SUFFIXES = {".pdf", ".png", ".csv", ".json"}


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=True)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def captures() -> list[Capture]:
    return sample_captures()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Copy the figures of the repository, to be spoilt."""
    shutil.copytree(FIGURES, tmp_path / "figures")
    return tmp_path / "figures"


@pytest.mark.parametrize("name", RECIPES)
def test_the_figures_of_the_repository_still_come_out_of_the_samples(name: str) -> None:
    found = verify_figure(FIGURES / f"{name}.json")
    assert found.ok, str(found)
    assert found.remade


def test_the_repository_has_the_whole_set_and_nothing_else() -> None:
    assert {path.name for path in FIGURES.iterdir()} == {
        "index.md", *(f"{name}{suffix}" for name in RECIPES for suffix in SUFFIXES),
        *(f"explorer-{tab}.png" for tab in ("lengths", "bandwidth", "features")),  # screenshots, for the README
    }  # fmt: skip
    for name in RECIPES:
        assert json.loads((FIGURES / f"{name}.json").read_text())["params"]["venue"] == "usenix"


def test_the_index_page_shows_each_picture_with_its_caption_and_command() -> None:
    text = (FIGURES / "index.md").read_text()
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert pictures == [f"{name}.png" for name in RECIPES]
    for link in re.findall(r"\]\((.*?)\)", text):
        assert (FIGURES / link).is_file(), link
    assert (
        "TCP payload lengths of obfs4, a bar a length, coloured by mean-shift cluster at a bandwidth of 3 bytes" in text
    )
    assert "Captures: obfs4, meek, shadowsocks, https." in text
    for name in RECIPES:
        assert f"```sh\ntoolkit figures --venue usenix --only {name}\n```" in text


def test_the_command_of_the_index_page_makes_the_figure(tmp_path: Path) -> None:
    text = (FIGURES / "index.md").read_text()
    (command,) = re.findall(r"^toolkit (figures .* --only entropy)$", text, re.MULTILINE)
    result = run(*command.split(), "-o", tmp_path)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "entropy.csv").read_bytes() == (FIGURES / "entropy.csv").read_bytes()


def test_all_is_the_same_to_the_byte_in_another_process(captures: list[Capture], tmp_path: Path) -> None:
    standard_figures.make_standard_figures(captures, folder=tmp_path / "here")
    command = [sys.executable, "-m", "toolkit", "figures", "-o", str(tmp_path / "there")]
    subprocess.run(
        command, check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"}
    )
    here, there = ({path.name: path.read_bytes() for path in (tmp_path / n).iterdir()} for n in ("here", "there"))
    assert here.keys() == there.keys()
    assert [name for name in here if here[name] != there[name]] == []
    assert len(here) == 4 * len(RECIPES) + 1


def test_the_data_are_those_that_the_functions_give(captures: list[Capture], tmp_path: Path) -> None:
    first = captures[0]
    make_figure("length-clusters", captures, folder=tmp_path, options=Options(bandwidth=7))
    drawn = pd.read_csv(tmp_path / "length-clusters.csv", index_col="length")
    clusters = toolkit.cluster_lengths(first.trace.select(clients=first.clients), bandwidth=7)
    assert drawn.index.tolist() == clusters.unique_lengths.tolist()
    assert drawn["packets"].tolist() == clusters.counts.tolist()
    assert drawn["cluster"].tolist() == clusters.labels.tolist()

    make_figure("interval-bins", captures, folder=tmp_path)
    drawn = pd.read_csv(tmp_path / "interval-bins.csv", index_col=["part", "upper edge (µs)"])
    for capture in captures:
        table = toolkit.client_features(capture.trace, capture.clients)
        for edge in (1_000, 1_000_000):
            expected = table[f"bin_{edge}_interval_down"].mean()
            assert drawn.loc[(capture.label, edge), "down"] == pytest.approx(expected, abs=1e-9)

    make_figure("feature-comparison", captures, folder=tmp_path)
    drawn = pd.read_csv(tmp_path / "feature-comparison.csv")
    tops = drawn[drawn["part"] == "distance"]
    assert len(tops) == 8
    assert tops["distance"].is_monotonic_decreasing
    assert set(drawn[drawn["part"] == "curve"]["feature"]) == set(tops["feature"])

    make_figure("direction-timeline", captures, folder=tmp_path)
    drawn = pd.read_csv(tmp_path / "direction-timeline.csv")
    total = first.trace.select(clients=first.clients).column("ip_length").sum()
    assert drawn[["bytes_up", "bytes_down"]].to_numpy().sum() == total


def test_a_figure_of_one_capture_names_that_one_only(captures: list[Capture], tmp_path: Path) -> None:
    for name, labels in (("entropy", ["obfs4"]), ("length-bins", list(recipes.SAMPLES))):
        record = json.loads(make_figure(name, captures, folder=tmp_path).read_text())
        assert [capture["label"] for capture in record["params"]["captures"]] == labels
        assert [trace["name"] for trace in record["traces"]] == [f"{label}.pcap" for label in labels]


@pytest.mark.parametrize(
    ("venue", "name"),
    [
        ("acm", "length-clusters"),
        ("ieee", "interval-cdf"),
        ("lncs", "trace-overview"),
        ("talk", "feature-comparison"),
        ("talk", "length-clusters"),
        ("notebook", "feature-correlation"),
    ],
)
def test_figures_for_other_venues(venue: Any, name: str, captures: list[Capture], tmp_path: Path) -> None:
    record = json.loads(make_figure(name, captures, venue=venue, folder=tmp_path).read_text())
    width = toolkit.paper_width(venue, RECIPES[name].columns)
    assert record["size_inches"] == [width, pytest.approx(width * RECIPES[name].height, abs=1e-3)]


def beginning(name: str, path: Path, packets: int = 600) -> Path:
    """Write the first packets of a sample, so that it is not a packaged capture any more."""
    data = toolkit.example(name).path.read_bytes()
    end = 24
    for _ in range(packets):
        end += 16 + int.from_bytes(data[end + 8 : end + 12], "little")
    path.write_bytes(data[:end])
    return path


def test_your_own_captures_by_label(tmp_path: Path) -> None:
    files = [beginning(name, tmp_path / f"my {name}.pcap") for name in ("trojan", "https")]
    out = tmp_path / "out"
    options = ["-l", "trojan", "-l", "the web", "-c", "10.77.0.0/24", "--venue", "acm", "-b", "5", "-n", "20"]
    only = ["--only", "length-bins", "--only", "entropy"]
    result = run("figures", *files, *options, *only, "-o", out)
    assert result.exit_code == 0, result.output
    record = json.loads((out / "length-bins.json").read_text())
    assert record["call"] == (
        "toolkit figures 'my trojan.pcap' 'my https.pcap' --label trojan --label 'the web' --client 10.77.0.0/24 "
        "--venue acm --only length-bins --bandwidth 5.0 --packets 20"
    )
    assert record["params"]["captures"][1] == {"label": "the web", "clients": ["10.77.0.0/24"]}
    assert str(tmp_path) not in "".join(path.read_text() for path in out.glob("*.json"))
    assert run("figures", "--check", "-o", out, *files).exit_code == 0
    lost = run("figures", "--check", "-o", out, files[0])
    assert lost.exit_code == 1
    digest = toolkit.read(files[1]).source.sha256[:12]
    assert lost.stderr == f"length-bins: no capture given is my https.pcap (SHA-256 {digest}…)\n"
    assert "entropy: the same to the byte" in lost.stdout  # it needs the first only


def test_one_capture_makes_what_compares_none_and_guesses_its_clients(tmp_path: Path) -> None:
    result = run("figures", beginning("meek", tmp_path / "some.meek.pcap"), "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    made = {path.stem for path in (tmp_path / "out").glob("*.json")}
    assert made == set(RECIPES) - {"feature-comparison"}
    record = json.loads((tmp_path / "out" / "entropy.json").read_text())
    clients = list(toolkit.suggest_clients(toolkit.load_example("meek")))
    assert record["params"]["captures"] == [{"label": "some", "clients": clients}]
    assert "feature-comparison" not in (tmp_path / "out" / "index.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only", "pie"], "--only pie: the figures are length-clusters, "),
        (["a.pcap", "-l", "a", "-l", "b"], "1 captures need as many --label, got 2"),
        (["x/a.pcap", "y/a.pcap"], "the labels of the captures must differ: a, a"),
        (["--venue", "chi"], "'chi' is not one of"),
        (["-b", "0"], "above 0"),
        (["-b", "nan"], "above 0"),
        (["-b", "auto"], "must be a number of bytes, got 'auto'"),
        ([f"{number}.pcap" for number in range(8)], "no more than 7 captures can be told apart in a figure, got 8"),
        (["a.pcap", "--only", "feature-comparison"], "--only feature-comparison compares: give 2 captures or more"),
        (["-w", "60"], "must have a unit"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str) -> None:
    result = run("figures", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_what_cannot_be_read_or_checked_is_one_line(tmp_path: Path) -> None:
    for arguments, words in (
        (["figures", tmp_path / "no.pcap"], "no such file"),
        (["figures", "--check", "-o", tmp_path], f"no figure in {tmp_path}"),
    ):
        result = run(*arguments)
        assert result.exit_code == 1
        assert words in result.stderr
        assert result.stderr.count("\n") == 1


def test_checking_finds_changed_files_and_says_which(copy: Path) -> None:
    (copy / "entropy.png").write_bytes(b"")
    (copy / "length-bins.csv").unlink()
    assert verify_figure(copy / "entropy.json").problems == ("entropy.png is not the one that was written",)
    assert verify_figure(copy / "length-bins.json").problems == ("length-bins.csv is missing",)


def spoil(path: Path, **changes: object) -> None:
    """Change the record of a figure, as if it had been made so."""
    record = json.loads(path.read_text())
    record["params"] |= changes
    path.write_text(json.dumps(record))


def test_checking_finds_other_data(copy: Path) -> None:
    spoil(copy / "length-clusters.json", bandwidth=4.0)
    found = verify_figure(copy / "length-clusters.json")
    assert "the data that come out now are others" in found.problems
    assert not found.ok
    assert not found.identical


def test_checking_finds_another_picture_of_the_same_data(copy: Path) -> None:
    """The data do not depend on the chosen bandwidth that the sweep marks; the picture does."""
    spoil(copy / "bandwidth-sweep.json", bandwidth=50.0)
    found = verify_figure(copy / "bandwidth-sweep.json")
    if found.versions:
        pytest.skip(f"other versions are compared coarsely: {found.versions}")
    (problem,) = found.problems
    assert problem.startswith("the picture that comes out now is another one")


def test_a_figure_of_your_own_cannot_be_made_again(tmp_path: Path) -> None:
    ax = toolkit.plot_length_clusters(toolkit.cluster_lengths([1, 2, 2]))
    path = toolkit.save_figure(ax.figure, "mine", folder=tmp_path)
    found = verify_figure(path)
    assert found.ok
    assert not found.remade
    assert str(found) == "mine: files and captures are as recorded; not of the standard set, so not made again"
    (tmp_path / "mine.csv").write_text("other")
    assert verify_figure(path).problems == ("mine.csv is not the one that was written",)


def test_the_command_names_what_was_drawn(captures: list[Capture], tmp_path: Path) -> None:
    """Packaged captures in another order, or by other labels, are not the standard set."""
    for given in (captures[::-1], [Capture("x", each.trace, each.clients) for each in captures[:1]]):
        record = json.loads(make_figure("entropy", given, folder=tmp_path, options=Options(3.1234567)).read_text())
        assert f"--label {given[0].label}" in record["call"]
        assert record["call"].startswith(f"toolkit figures {given[0].trace.source.name} ")
        assert record["call"].endswith(" --bandwidth 3.1234567")


def test_what_a_notebook_sets_does_not_show(captures: list[Capture], tmp_path: Path) -> None:
    with mpl.rc_context({"axes.grid": True, "font.weight": "bold", "axes.facecolor": "black"}):
        make_figure("entropy", captures, folder=tmp_path)
        assert verify_figure(FIGURES / "entropy.json").ok
    assert (tmp_path / "entropy.png").read_bytes() == make_figure(
        "entropy", captures, folder=tmp_path / "plain"
    ).with_suffix(".png").read_bytes()


def test_changed_records_are_problems_or_errors_never_crashes(copy: Path) -> None:
    path = copy / "entropy.json"
    record = json.loads(path.read_text())

    def check(**changes: Any) -> standard_figures.FigureCheck:
        path.write_text(json.dumps(record | changes))
        return verify_figure(path)

    params = record["params"]
    for changed in (
        {"font": "Comic Papyrus"},
        {"params": params | {"venue": "chi"}},
        {"params": params | {"bandwidth": None, "time_window": 3, "figure": "length-clusters"}},
        {"params": {"figure": "entropy"}},
        {"params": params | {"captures": [{"label": "a", "clients": ["x"]}]}},
        {"params": params | {"captures": []}},
    ):
        found = check(**changed)
        assert found.problems[0].startswith("it could not be made again: "), changed
    for changed in (
        {"files": {}}, {"files": {"../../etc/passwd": "x"}}, {"files": []}, {"params": None}, {"libraries": {}},
        {"traces": None}, {"traces": ["x"]}, {"traces": [{"name": "x"}]}, {"name": 3},
    ):  # fmt: skip
        with pytest.raises(toolkit.ToolkitError, match="not the JSON of a figure"):
            check(**changed)


def test_a_foreign_file_hides_no_figure(copy: Path) -> None:
    (copy / "a.json").write_text("{}")
    toolkit.save_figure(Figure((1, 1)), "window-sweep", folder=copy)  # somebody's own, of that name
    result = run("figures", "--check", "-o", copy, "--only", "entropy")
    assert result.exit_code == 0
    whole = run("figures", "--check", "-o", copy)
    assert whole.exit_code == 1
    assert "a.json: not the JSON of a figure" in whole.stderr
    assert "entropy: the same" in whole.stdout
    make_figure("entropy", sample_captures(), folder=copy)
    standard_figures.make_standard_figures(sample_captures(), folder=copy, only=["entropy"])
    assert "window-sweep" not in (copy / "index.md").read_text()


def test_a_capture_is_one_file_as_it_was_read(captures: list[Capture], tmp_path: Path) -> None:
    trace = captures[0].trace
    for other in (trace.select(protocol="tcp"), toolkit.concat([trace, captures[1].trace])):
        with pytest.raises(ValueError, match="'x' must be one file as it was read"):
            make_figure("entropy", [Capture("x", other, captures[0].clients)], folder=tmp_path)


def test_where_nobody_opens_a_connection_all_hosts_are_looked_at(tmp_path: Path) -> None:
    data = toolkit.example("obfs4").path.read_bytes()
    header = "4500001c000000004001000001010101" + "02020202"  # IPv4 of a ping
    ping = bytearray(data[24:40]) + bytes.fromhex("02" * 12 + "0800" + header + "08" * 8)
    ping[8:16] = len(ping[16:]).to_bytes(4, "little") * 2
    (tmp_path / "ping.pcap").write_bytes(data[:24] + ping)
    result = run("figures", tmp_path / "ping.pcap", "--only", "entropy", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "not the JSON"), ("[]", "it has no name, call"), ('{"name": 1}', "name is 1"), ('{"name": "x"}', "no call")],
)
def test_what_is_no_figure_is_an_error(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(toolkit.ToolkitError, match=words):
        verify_figure(tmp_path / "x.json")
    with pytest.raises(toolkit.ToolkitError, match="not the JSON of a figure"):
        verify_figure(tmp_path / "no.json")


def test_differences_of_pictures(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    white = np.ones((480, 640, 3))
    imsave(tmp_path / "white.png", white)
    grain = white.copy()
    grain[::16, ::16] = rng.random((30, 40, 3))  # a letter's edge here and there
    imsave(tmp_path / "grain.png", grain)
    bar = white.copy()
    bar[100:300, 200:232] = 0
    imsave(tmp_path / "bar.png", bar)
    imsave(tmp_path / "small.png", white[:100])
    assert picture_difference(tmp_path / "white.png", tmp_path / "white.png") == 0
    assert picture_difference(tmp_path / "white.png", tmp_path / "grain.png") < 0.005
    assert picture_difference(tmp_path / "white.png", tmp_path / "bar.png") == 1
    assert picture_difference(tmp_path / "white.png", tmp_path / "small.png") == 1
    assert ink_difference(tmp_path / "white.png", tmp_path / "bar.png") == pytest.approx(1)
    assert ink_difference(tmp_path / "bar.png", tmp_path / "bar.png") == 0
    half = bar.copy()
    half[200:] = 1
    imsave(tmp_path / "half.png", half)
    assert ink_difference(tmp_path / "half.png", tmp_path / "bar.png") == pytest.approx(0.5)


@pytest.mark.parametrize("name", RECIPES)
def test_across_versions_an_empty_or_half_picture_is_found(name: str, tmp_path: Path) -> None:
    picture = imread(FIGURES / f"{name}.png").copy()
    imsave(tmp_path / "same.png", picture)
    assert ink_difference(FIGURES / f"{name}.png", tmp_path / "same.png") < 1e-6
    middle = picture.shape[1] // 2
    picture[:, middle:] = 1
    imsave(tmp_path / "half.png", picture)
    assert ink_difference(FIGURES / f"{name}.png", tmp_path / "half.png") > standard_figures.COARSE
    imsave(tmp_path / "white.png", np.ones_like(picture))
    assert ink_difference(FIGURES / f"{name}.png", tmp_path / "white.png") > standard_figures.COARSE


def test_a_figure_of_some_clients_is_of_their_packets(captures: list[Capture], tmp_path: Path) -> None:
    client = captures[0].clients[0]
    some = [Capture("some", captures[0].trace, (client,))]
    theirs = captures[0].trace.select(clients=client)
    for name in ("entropy", "bandwidth-sweep", "length-clusters"):
        make_figure(name, some, folder=tmp_path)
    drawn = pd.read_csv(tmp_path / "entropy.csv")
    assert drawn["packets"].sum() == toolkit.entropy_counts(theirs).total_packets
    sweep = pd.read_csv(tmp_path / "bandwidth-sweep.csv", index_col="bandwidth")
    pd.testing.assert_frame_equal(sweep, toolkit.bandwidth_sweep(theirs))
    lengths = pd.read_csv(tmp_path / "length-clusters.csv")
    assert lengths["packets"].sum() == toolkit.cluster_lengths(theirs).counts.sum()


def test_odd_labels_and_names_are_shown_as_they_are(tmp_path: Path) -> None:
    odd = beginning("obfs4", tmp_path / os.fsdecode(b"odd \xff.pcap"))
    label = "a`|*<b>\n# x$[c](d)"
    result = run("figures", odd, "-l", label, "--only", "entropy", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "out" / "index.md").read_text()
    assert r"Entropy of each payload of a\`\|\*\<b\> \# x$\[c\](d) over its length" in text
    assert json.loads((tmp_path / "out" / "entropy.json").read_text())["traces"][0]["name"] == "odd ?.pcap"
    assert run("report", odd, "-o", tmp_path / "x.html").exit_code == 0


def test_wrong_names_and_captures(captures: list[Capture], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"`name` must be one of length-clusters, .*, got 'pie'"):
        make_figure("pie", captures, folder=tmp_path)
    with pytest.raises(ValueError, match=r"with a label each of its own, got \[\]"):
        make_figure("entropy", [], folder=tmp_path)
    with pytest.raises(ValueError, match="with a label each of its own"):
        make_figure("entropy", [captures[0], captures[0]], folder=tmp_path)
    with pytest.raises(ValueError, match="at least two feature tables"):
        make_figure("feature-comparison", captures[:1], folder=tmp_path)
