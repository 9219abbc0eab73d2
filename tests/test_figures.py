"""Paper figures: sizes and fonts as printed, files that are the same to the byte, or not written at all."""

from __future__ import annotations

import hashlib
import io
import ipaddress
import json
import os
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.text import Text

import toolkit
from toolkit import figures
from toolkit.figures import WIDTHS, paper, paper_width, save_figure

VENUES = list(WIDTHS)
SUFFIXES = (".pdf", ".png", ".csv", ".json")


def chart(**size: object) -> Figure:
    """Draw what charts have: title, labels, legend, log axis, mathtext, signs beyond ASCII."""
    fig, ax = plt.subplots(**size)
    ax.plot([1, 10, 100], [1, 2, 3], label="up – 5 µs ≥ 3 × $x^2$")
    ax.set_xscale("log")
    ax.set_xlabel("gap (µs)")
    ax.set_ylabel("share")
    ax.set_title("a title")
    ax.legend(title="a legend")
    return fig


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("columns", [1, 2])
def test_each_venue_has_its_width_and_no_text_under_8_points(venue, columns):
    with paper(venue, columns):
        fig = chart()
    width = {"usenix": (3.335, 7.0), "acm": (3.337, 7.006), "ieee": (3.5, 7.16), "lncs": (4.803, 4.803)}
    assert fig.get_figwidth() == pytest.approx(paper_width(venue, columns))
    assert fig.get_figheight() == pytest.approx(paper_width(venue, columns) * {1: 0.75, 2: 0.45}[columns])
    if venue in width:
        assert paper_width(venue, columns) == width[venue][columns - 1]
    fig.draw_without_rendering()
    texts = [text for text in fig.findobj(Text) if text.get_visible() and text.get_text()]
    assert {"a title", "a legend", "share"} <= {text.get_text() for text in texts}
    assert min(text.get_fontsize() for text in texts) >= 8


@pytest.mark.parametrize("venue", VENUES)
def test_fonts_are_embedded_as_type_42_at_the_width_of_the_column(venue, tmp_path):
    with paper(venue):
        fig = chart()
    save_figure(fig, "x", folder=tmp_path)  # outside of the block: what it set must not be needed any more
    pdf = (tmp_path / "x.pdf").read_bytes()
    assert b"/Type3" not in pdf
    assert b"/FontFile2" in pdf
    assert set(re.findall(rb"/Subtype /(TrueType|CIDFontType\d|Type1|Type3)\b", pdf)) <= {b"TrueType", b"CIDFontType2"}
    box = [float(number) for number in re.search(rb"/MediaBox \[ *([\d. ]+)\]", pdf).group(1).split()]
    assert box[2] - box[0] == pytest.approx(72 * paper_width(venue), abs=0.5)


def test_a_type_3_font_would_be_found(tmp_path):
    """The test above can fail: matplotlib's own default is Type 3."""
    with mpl.rc_context({"pdf.fonttype": 3}):
        chart().savefig(tmp_path / "x.pdf")
    assert b"/Type3" in (tmp_path / "x.pdf").read_bytes()


@pytest.mark.parametrize("venue", ["usenix", "acm", "ieee", "lncs"])
def test_the_font_is_a_serif_that_is_there_and_the_record_names_it(venue, tmp_path, caplog):
    with paper(venue):
        family = mpl.rcParams["font.family"][0]
        listed = mpl.rcParams["font.serif"]
        fig = chart()
    assert family in listed
    assert listed[-1] == "STIXGeneral"
    assert json.loads(save_figure(fig, "x", folder=tmp_path).read_text())["font"] == family
    pdf = (tmp_path / "x.pdf").read_bytes()
    assert any(family.replace(" ", "").encode() in name for name in re.findall(rb"/BaseFont /\S+", pdf))
    assert not caplog.records  # matplotlib says so in the log where it finds no font


def test_a_font_can_be_forced_and_must_be_there():
    with paper("usenix", font="STIXGeneral"):
        assert mpl.rcParams["font.family"][0] == "STIXGeneral"
    with (
        pytest.raises(ValueError, match="no TrueType font Comic Papyrus is installed"),
        paper("acm", font="Comic Papyrus"),
    ):
        pass


@pytest.mark.parametrize("venue", VENUES)
def test_settings_are_as_before_after_the_block_also_when_it_fails(venue):
    before = dict(mpl.rcParams)
    with paper(venue):
        mpl.rcParams["lines.linewidth"] = 17
        assert dict(mpl.rcParams) != before
    assert dict(mpl.rcParams) == before

    def fail():
        with paper(venue, 2):
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize(
    ("venue", "columns", "message"),
    [
        ("chi", 1, r"`venue` must be one of usenix, acm, ieee, lncs, talk, notebook, got 'chi'"),
        ("acm", 3, r"`columns` must be 1 or 2, got 3"),
        ("acm", True, r"`columns` must be 1 or 2, got True"),
    ],
)
def test_wrong_venue_or_columns(venue, columns, message):
    with pytest.raises(ValueError, match=message), paper(venue, columns):
        pass


SCRIPT = """
import sys, toolkit
trace = toolkit.load_example("obfs4")
clusters = toolkit.cluster_lengths(trace)
with toolkit.paper("usenix"):
    ax = toolkit.plot_length_clusters(clusters)
toolkit.save_figure(ax.figure, "x", data=clusters.to_frame(), params={"call": "me", "b": {3, 1, 2}}, traces=[trace],
                    folder=sys.argv[1])
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_made_again_all_four_are_the_same_to_the_byte(tmp_path):
    made = []
    for number, zone in enumerate(("UTC", "Asia/Tokyo")):
        place = tmp_path / f"place {number}"
        place.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": str(number + 1), "TZ": zone, "SOURCE_DATE_EPOCH": str(number)}
        command = [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path / str(number))]
        subprocess.run(command, check=True, cwd=place, env=environment)
        made.append(contents(tmp_path / str(number)))
    assert set(made[0]) == {f"x{suffix}" for suffix in SUFFIXES}
    assert made[0] == made[1]


def test_the_same_figure_saved_twice_inside_and_outside_of_the_block_is_the_same(tmp_path):
    with paper("ieee"):
        fig = panels()
        save_figure(fig, "x", folder=tmp_path / "inside")
    engine = fig.get_layout_engine()
    save_figure(fig, "x", folder=tmp_path / "outside")
    save_figure(fig, "x", folder=tmp_path / "again")
    assert contents(tmp_path / "inside") == contents(tmp_path / "outside") == contents(tmp_path / "again")
    assert fig.get_layout_engine() is engine


def bytes_of(fig: Figure) -> dict[str, bytes]:
    return figures.render_figure(fig, "x", None, {}, ())


def bare(**size: object) -> Figure:
    """Draw ticks and no other text: what sets these is not known before they are drawn."""
    fig, ax = plt.subplots(**size)
    ax.plot([1, 2], [0, 1e6])
    return fig


def panels(**size: object) -> Figure:
    """Draw what makes the layout move for a few draws."""
    fig, axs = plt.subplots(2, 2, sharex=True, **size)
    x = np.linspace(1, 1000, 50)
    for power, ax in enumerate(axs.flat):
        ax.plot(x, x**power)
        ax.set_ylabel(f"y{power}")
    fig.colorbar(axs[0, 0].scatter(x, x, c=x), ax=axs)
    axs[1, 1].set_xlabel("x")
    fig.suptitle("all")
    fig.legend(["a"], loc="outside lower center")
    return fig


@pytest.mark.parametrize(("draw", "venue"), [(chart, "lncs"), (chart, "talk"), (bare, "talk")])
def test_saved_first_after_the_block_is_the_same_as_in_it(draw, venue):
    """Each figure is saved once: the first draw settles what the next would ask the settings for."""
    with paper(venue):
        inside, outside = bytes_of(draw()), draw()
    assert bytes_of(outside) == inside


@pytest.mark.parametrize(("draw", "venue"), [(chart, "usenix"), (panels, "acm"), (panels, "talk")])
def test_shown_before_or_not_is_the_same(draw, venue):
    with paper(venue):
        fresh, shown, resized = draw(), draw(), draw()
    shown.savefig(io.BytesIO(), dpi=72)
    size = resized.get_size_inches()
    resized.set_size_inches(9, 9)
    resized.draw_without_rendering()
    resized.set_size_inches(size)
    assert bytes_of(fresh) == bytes_of(shown) == bytes_of(resized)
    assert all(ax.get_in_layout() for ax in fresh.axes)  # and it is laid out again if it is drawn on


@pytest.fixture(scope="module")
def usenix_chart() -> dict[str, bytes]:
    with paper("usenix"):
        return bytes_of(chart())


@pytest.mark.parametrize(
    "settings",
    [
        {"savefig.facecolor": "red", "savefig.transparent": True, "savefig.dpi": 50},
        {"savefig.bbox": "tight", "savefig.pad_inches": 1},
        {"pdf.fonttype": 3, "pdf.compression": 0, "pdf.inheritcolor": True},
        {"pdf.use14corefonts": True},
        {"text.hinting": "none", "path.snap": False},
        {"font.size": 20, "xtick.labelsize": 30, "ytick.labelsize": 4, "mathtext.fontset": "cm"},
    ],
)
def test_what_a_notebook_sets_does_not_show(settings, usenix_chart):
    with paper("usenix"):
        fig = chart()
    with mpl.rc_context(settings):
        assert bytes_of(fig) == usenix_chart


@pytest.mark.parametrize("layout", ["none", "constrained", "tight"])
def test_the_layout_engine_is_as_before_also_when_it_fails(layout):
    with paper("usenix"):
        fig, ax = plt.subplots(layout=layout)
        ax.plot([1, 2])
        engine = fig.get_layout_engine()
        first = bytes_of(fig)
        assert fig.get_layout_engine() is engine
        assert bytes_of(fig) == first
        with pytest.raises(TypeError, match="has no JSON form"):
            figures.render_figure(fig, "x", None, {"odd": object()}, ())
        assert fig.get_layout_engine() is engine


def test_a_figure_without_text_has_no_font():
    fig = Figure()
    fig.subplots().set_axis_off()  # its title is there, and empty
    assert json.loads(bytes_of(fig)[".json"])["font"] is None


def test_the_png_has_300_dpi(tmp_path):
    with paper("usenix"):
        save_figure(chart(), "x", folder=tmp_path)
    png = (tmp_path / "x.png").read_bytes()
    width, height = struct.unpack(">II", png[16:24])
    assert (width, height) == (int(3.335 * 300), int(3.335 * 0.75 * 300))
    place = png.index(b"pHYs")
    assert struct.unpack(">IIB", png[place + 4 : place + 13]) == (11811, 11811, 1)  # dots a metre


def test_the_record_says_where_the_figure_comes_from(tmp_path):
    trace = toolkit.load_example("obfs4").select(protocol="tcp")
    other = toolkit.example("meek").path
    params = {
        "call": "plot(3)",
        "bandwidth": np.float64(3.5),
        "n": np.int32(4),
        "clients": [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_address("::1")],
        "start": pd.Timestamp("2020-01-01", tz="UTC"),
        "width": pd.Timedelta("60s"),
        "file": Path("/home/someone/secret/trace.pcap"),
        "nested": {"a": (1, None, True)},
        "times": [np.datetime64("2020-01-01", "ns"), np.timedelta64(5, "s")],
        "files": {Path("/b/x.pcap"), Path("/a/y.pcap")},
    }
    path = save_figure(chart(), "a-b_c.1", params=params, traces=[trace, other], folder=tmp_path)
    record = json.loads(path.read_text())
    assert path == tmp_path / "a-b_c.1.json"
    assert record["name"] == "a-b_c.1"
    assert record["toolkit"] == toolkit.__version__
    assert record["call"] == "plot(3)"
    assert record["params"] == {
        "bandwidth": 3.5, "n": 4, "clients": ["10.0.0.0/8", "::1"], "start": "2020-01-01 00:00:00+00:00",
        "width": "0 days 00:01:00", "file": "trace.pcap", "nested": {"a": [1, None, True]},
        "times": ["2020-01-01 00:00:00", "0 days 00:00:05"], "files": ["x.pcap", "y.pcap"],
    }  # fmt: skip
    assert record["traces"] == [
        {"name": "obfs4.pcap", "sha256": toolkit.example("obfs4").sha256, "history": list(trace.history)},
        {"name": "meek.pcap", "sha256": toolkit.example("meek").sha256, "history": []},
    ]
    assert "select" in trace.history[-1]
    assert record["libraries"]["matplotlib"] == mpl.__version__
    assert record["libraries"]["numpy"] == np.__version__
    assert set(record["files"]) == {f"a-b_c.1{suffix}" for suffix in (".pdf", ".png", ".csv")}
    for name, digest in record["files"].items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest


def test_no_file_names_a_folder_or_a_person(tmp_path, monkeypatch):
    capture = tmp_path / "home" / "trace.pcap"
    capture.parent.mkdir()
    capture.write_bytes(toolkit.example("obfs4").path.read_bytes())
    monkeypatch.chdir(tmp_path)
    trace = toolkit.read(capture)
    save_figure(chart(), "x", traces=[trace, capture], params={"file": capture}, folder="out")
    for name, data in contents(tmp_path / "out").items():
        streams = [zlib.decompress(part) for part in re.findall(rb"stream\n(.*?)\nendstream", data, re.DOTALL)
                   if part[:1] == b"x"] if name == "x.pdf" else []  # fmt: skip
        for text in [data, *streams]:
            assert str(tmp_path).encode() not in text
            assert str(Path.home()).encode() + b"/" not in text
        assert b"CreationDate" not in data


def test_what_fails_leaves_the_old_figure_and_no_other_file(tmp_path, monkeypatch):
    save_figure(chart(), "x", folder=tmp_path)
    before = contents(tmp_path)
    fig = chart()
    fig.axes[0].set_xlabel("something else")
    with pytest.raises(TypeError, match="has no JSON form"):
        save_figure(fig, "x", params={"odd": object()}, folder=tmp_path)
    assert contents(tmp_path) == before

    for owner, method, ending in (
        (Path, "write_bytes", ".csv"),
        (Path, "write_bytes", ".json"),
        (Figure, "savefig", "png"),
    ):
        works = getattr(owner, method)

        def full(self, first, works=works, ending=ending, **options):
            if options.get("format", getattr(self, "suffix", "")) == ending:
                raise OSError(28, "No space left on device")
            return works(self, first, **options)

        with monkeypatch.context() as patch:
            patch.setattr(owner, method, full)
            with pytest.raises(OSError, match="No space left"):
                save_figure(fig, "x", folder=tmp_path)
        assert contents(tmp_path) == before
    save_figure(fig, "x", folder=tmp_path)
    assert contents(tmp_path).keys() == before.keys()
    assert contents(tmp_path)["x.png"] != before["x.png"]


def test_the_record_takes_its_place_last(tmp_path, monkeypatch):
    """Its digests convict a mix of two figures, if the machine dies in between."""
    order = []
    works = Path.replace
    monkeypatch.setattr(Path, "replace", lambda self, target: order.append(Path(target).suffix) or works(self, target))
    save_figure(bare(), "x", folder=tmp_path)
    assert sorted(order) == sorted(SUFFIXES)
    assert order[-1] == ".json"


def test_a_folder_in_the_way_is_found_before_a_file_is_replaced(tmp_path):
    save_figure(chart(), "x", folder=tmp_path)
    (tmp_path / "x.csv").unlink()
    (tmp_path / "x.csv").mkdir()
    before = {name: (tmp_path / name).read_bytes() for name in ("x.pdf", "x.png", "x.json")}
    with pytest.raises(IsADirectoryError, match=r"x\.csv is a folder"):
        save_figure(bare(), "x", folder=tmp_path)
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("name", ["", ".x", "a/b", "../x", "a b", "ä", 3])
def test_a_name_is_a_plain_file_name(name, tmp_path):
    with pytest.raises(ValueError, match="`name` must be letters, digits"):
        save_figure(chart(), name, folder=tmp_path)


def test_an_axes_is_not_a_figure(tmp_path):
    with pytest.raises(TypeError, match=r"`fig` must be a Figure, got Axes \(of an Axes, give `ax.figure`\)"):
        save_figure(chart().axes[0], "x", folder=tmp_path)


@pytest.mark.parametrize("value", [object(), 1j, b"bytes", float("nan"), float("inf"), {"deep": [float("nan")]}])
def test_a_parameter_without_json_form_is_named(value, tmp_path):
    with pytest.raises(TypeError, match="the parameter 'mine"):
        save_figure(chart(), "x", params={"mine": value}, folder=tmp_path)


def test_traces_are_a_list(tmp_path):
    for one in ("a.pcap", Path("a.pcap"), toolkit.load_example("obfs4")):
        with pytest.raises(
            TypeError, match=f"`traces` must be a list of traces or paths, got one {type(one).__name__}"
        ):
            save_figure(chart(), "x", traces=one, folder=tmp_path)


def written(data: object, tmp_path: Path, fig: Figure | None = None) -> str:
    return save_figure(fig or Figure((1, 1)), "x", data=data, folder=tmp_path).with_suffix(".csv").read_bytes().decode()


def test_the_csv_is_the_data_to_the_last_digit(tmp_path):
    table = pd.DataFrame({"x": [0.1, 1 / 3], "n": [1, 2]}, index=pd.Index([5, 6], name="length"))
    assert written(table, tmp_path) == "length,x,n\n5,0.1,1\n6,0.3333333333333333,2\n"
    assert written(table.reset_index(drop=True), tmp_path) == "x,n\n0.1,1\n0.3333333333333333,2\n"
    assert written(table["n"], tmp_path) == "length,n\n5,1\n6,2\n"
    parts = {"a": table, "b": pd.DataFrame({"n": [3], "label": ['ü, "x"']})}
    text = written(parts, tmp_path)
    assert text == 'part,length,x,n,label\na,5,0.1,1,\na,6,0.3333333333333333,2,\nb,,,3,"ü, ""x"""\n'
    levels = table.set_axis(pd.MultiIndex.from_tuples([(5, "a"), (6, "b")]))
    assert written(levels["n"], tmp_path) == "level_0,level_1,n\n5,a,1\n6,b,2\n"
    assert written({"a": table["n"]}, tmp_path) == "part,length,n\na,5,1\na,6,2\n"
    written(table, tmp_path)
    back = pd.read_csv(tmp_path / "x.csv")
    assert back["x"].tolist() == [0.1, 1 / 3]


@pytest.mark.parametrize("data", [[1, 2], np.arange(3), {"a": [1]}])
def test_data_that_is_no_table(data, tmp_path):
    with pytest.raises(TypeError, match="`data` must be a DataFrame, a Series or a mapping of these, got"):
        written(data, tmp_path)
    assert not list(tmp_path.iterdir())


def test_no_parts_at_all(tmp_path):
    with pytest.raises(ValueError, match="got an empty mapping"):
        written({}, tmp_path)


def test_without_data_the_csv_is_what_is_drawn(tmp_path):
    fig = Figure()
    ax = fig.subplots()
    ax.plot([1, 2], [0.25, 0.5], label="line")
    text = written(None, tmp_path, fig)
    assert text == "axes,artist,series,label,x,y\n0,Line2D,0,line,1,0.25\n0,Line2D,0,line,2,0.5\n"


def test_every_list_of_fonts_ends_with_one_that_comes_with_matplotlib():
    for style in (Path(figures.__file__).parent / "styles").glob("*.mplstyle"):
        for line in style.read_text().splitlines():
            if line.startswith("font.serif:"):
                assert line.endswith(", STIXGeneral")
    assert set(VENUES) | {"base"} == {path.stem for path in (Path(figures.__file__).parent / "styles").iterdir()}
