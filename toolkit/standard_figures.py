"""The standard set of paper figures: made from captures by name, with an index page, and checked again later."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.image import imread

from toolkit._files import atomically
from toolkit.capture.reader import read
from toolkit.datasets import example, examples
from toolkit.errors import ToolkitError
from toolkit.figures import Venue, paper, paper_width, save_figure
from toolkit.recipes import RECIPES, SAMPLES, Capture, Options
from toolkit.trace import Trace

TOLERANCE = 0.1
"""Largest `picture_difference` of two pictures drawn by one version of matplotlib."""

COARSE = 0.25
"""Largest `ink_difference` of two pictures drawn by different versions, which lay out text differently."""


def make_figure(
    name: str,
    captures: Sequence[Capture],
    *,
    venue: Venue = "usenix",
    options: Options | None = None,
    folder: str | Path = "figures",
    font: str | None = None,
) -> Path:
    """Make one of the standard figures.

    Parameters
    ----------
    name
        One of `RECIPES`.
    captures
        The one in question first; the others are what it is compared with. Labels must differ.
    venue, font
        As in `toolkit.paper`.
    options
        Bandwidth and window sizes.
    folder
        Where the four files go, see `toolkit.save_figure`.

    Returns
    -------
    Path
        Of the JSON.

    Raises
    ------
    ValueError
        If there is no such figure, no capture, two of one label, or one where it compares several.
    """
    if name not in RECIPES:
        raise ValueError(f"`name` must be one of {', '.join(RECIPES)}, got {name!r}")
    labels = [capture.label for capture in captures]
    if not labels or len(set(labels)) < len(labels):
        raise ValueError(f"the captures must be one or more, with a label each of its own, got {labels}")
    for capture in captures:
        if len(capture.trace.sources) != 1 or len(capture.trace.history) > 1:
            raise ValueError(f"{capture.label!r} must be one file as it was read, got {capture.trace!r}")
    chosen = options or Options()
    return _make(name, captures, venue, chosen, folder, font, _command(name, captures, venue, chosen))


def _make(
    name: str,
    captures: Sequence[Capture],
    venue: Venue,
    options: Options,
    folder: str | Path,
    font: str | None,
    call: str,
) -> Path:
    recipe = RECIPES[name]
    drawn = captures if recipe.compares else captures[:1]
    data, draw = recipe.compute(drawn, options)
    params: dict[str, Any] = {
        "call": call,
        "figure": name,
        "venue": venue,
        "captures": [{"label": capture.label, "clients": list(capture.clients)} for capture in drawn],
        **vars(options),
    }
    width = paper_width(venue, recipe.columns)
    with paper(venue, recipe.columns, font=font):
        figure = Figure(figsize=(width, recipe.height * width))
        draw(figure)
        return save_figure(
            figure, name, data=data, params=params, traces=[capture.trace for capture in drawn], folder=folder
        )


def _command(name: str, captures: Sequence[Capture], venue: Venue, options: Options) -> str:
    """Give the command that makes a figure again, where its captures lie."""
    words = ["toolkit", "figures"]
    given = [(capture.label, capture.clients, capture.trace.sources[0].sha256) for capture in captures]
    samples = [example(sample) for sample in SAMPLES]
    if given != [(each.name, each.proxied_clients or each.clients, each.sha256) for each in samples]:
        words += [capture.trace.sources[0].name for capture in captures]
        words += [word for label, _, _ in given for word in ("--label", label)]
        if len({clients for _, clients, _ in given}) == 1:  # else they were not given
            words += [word for client in given[0][1] for word in ("--client", client)]
    words += ["--venue", venue, "--only", name]
    default = Options()
    for option, field in (
        ("--bandwidth", "bandwidth"),
        ("--time-window", "time_window"),
        ("--packets", "packet_window"),
    ):
        value = getattr(options, field)
        if value != getattr(default, field):
            words += [option, str(value)]
    return shlex.join(words)


def make_standard_figures(
    captures: Sequence[Capture],
    *,
    venue: Venue = "usenix",
    options: Options | None = None,
    folder: str | Path = "figures",
    only: Iterable[str] = (),
) -> list[Path]:
    """Make the standard set of figures, and the page ``index.md`` that shows them.

    Parameters
    ----------
    captures, venue, options, folder
        As in `make_figure`. Of a single capture, the figures that compare several are left out.
    only
        Names of figures; all if none is given. The index page shows all figures of the set that are in the folder.

    Returns
    -------
    list of Path
        Of the JSON of each figure.
    """
    names = list(only) or [name for name, recipe in RECIPES.items() if len(captures) >= recipe.fewest]
    made = [make_figure(name, captures, venue=venue, options=options, folder=folder) for name in names]
    _write_index(Path(folder))
    return made


def _write_index(folder: Path) -> None:
    lines = [
        "# Figures",
        "",
        "Each is there as PDF (for the paper), PNG (300 dpi), CSV (the data drawn) and JSON (where it comes from: "
        "captures by SHA-256, parameters, versions). `toolkit figures --check` says whether they still come out of the "
        "captures.",
    ]
    for name, recipe in RECIPES.items():
        path = folder / f"{name}.json"
        if not path.is_file():
            continue
        record = _load(path)
        params = record["params"]
        if params.get("figure") != name:  # one of somebody's own, of that name
            continue
        first = params["captures"][0]["label"]
        labels = ", ".join(capture["label"] for capture in params["captures"])
        caption = recipe.caption.format(first=_shown(first), bandwidth=params["bandwidth"])
        files = ", ".join(f"[{suffix}]({name}.{suffix})" for suffix in ("pdf", "csv", "json"))
        lines += ["", f"## {name}", "", f"![{name}]({name}.png)", "", f"{caption} Captures: {_shown(labels)}.", ""]
        lines += ["```sh", str(record["call"]), "```", "", files]
    with atomically(folder / "index.md") as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _shown(words: str) -> str:
    """Write a label so that Markdown shows it as it is, on one line."""
    return re.sub(r"([\\`*_|<>#\[\]])", r"\\\1", " ".join(words.split()))


@dataclass(frozen=True)
class FigureCheck:
    """What `verify_figure` found.

    Attributes
    ----------
    name
        Of the figure.
    problems
        What is not as it was; none if the figure, as far as it could be made again, still comes out of its captures.
    remade
        Whether it could be made again.
    identical
        Whether all four files came out the same to the byte.
    versions
        What drew it then and what does now, if these differ so much that pictures were compared coarsely.
    """

    name: str
    problems: tuple[str, ...]
    remade: bool
    identical: bool
    versions: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def __str__(self) -> str:
        if self.problems:
            return f"{self.name}: " + "; ".join(self.problems)
        if not self.remade:
            return f"{self.name}: files and captures are as recorded; not of the standard set, so not made again"
        if self.identical:
            return f"{self.name}: the same to the byte"
        return f"{self.name}: the same data, " + (
            f"a like picture ({self.versions})" if self.versions else "the same picture"
        )


def verify_figure(path: str | Path, traces: Iterable[Trace | str | Path] = ()) -> FigureCheck:
    """Say whether a figure still comes out of its captures.

    The files must be those that were written (by SHA-256). If the figure is one of the standard set, it is made again
    from the captures: its data must be the same to the last digit, and its picture nearly (`picture_difference`). Other
    versions of matplotlib lay out text differently, which moves all else: then the pictures are compared coarsely
    (`ink_difference`), and the data say whether the figure is right. A figure of your own cannot be made again by the
    toolkit (`remade` is False): run the call that its JSON records.

    Parameters
    ----------
    path
        The JSON of the figure; the other files lie beside it.
    traces
        The captures it was made from, as traces or paths; packaged ones are found by themselves.

    Returns
    -------
    FigureCheck
        With every problem, not only the first.

    Raises
    ------
    ToolkitError
        If the JSON is not that of a figure.

    Examples
    --------
    >>> import toolkit, tempfile
    >>> from toolkit.recipes import sample_captures
    >>> from toolkit.standard_figures import make_figure
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     written = make_figure("entropy", sample_captures(), folder=folder)
    ...     print(toolkit.verify_figure(written))
    entropy: the same to the byte
    """
    path = Path(path)
    record = _load(path)
    name = str(record["name"])
    problems = []
    for file, digest in record["files"].items():
        here = path.with_name(file)
        if not here.is_file():
            problems.append(f"{file} is missing")
        elif hashlib.sha256(here.read_bytes()).hexdigest() != digest:
            problems.append(f"{file} is not the one that was written")
    known = _known_traces(traces)
    missing = [source for source in record["traces"] if source["sha256"] not in known]
    problems += [f"no capture given is {source['name']} (SHA-256 {source['sha256'][:12]}…)" for source in missing]
    for source in record["traces"]:
        if source["sha256"] in known:
            problems += _other_payloads(source, known[source["sha256"]])
    params = record["params"]
    if problems or params.get("figure") not in RECIPES:
        return FigureCheck(name, tuple(problems), remade=False, identical=False)
    with tempfile.TemporaryDirectory() as folder:
        try:
            again = _make_again(record, known, folder)
        except (KeyError, TypeError, ValueError) as error:
            # a font that is not here, or parameters that somebody changed
            return FigureCheck(name, (f"it could not be made again: {error}",), remade=False, identical=False)
        suffixes = (".csv", ".png", ".pdf", ".json")
        same = {suffix: _same(path.with_suffix(suffix), again.with_suffix(suffix)) for suffix in suffixes}
        if not same[".csv"]:
            problems.append("the data that come out now are others")
        versions = _versions(record, _load(again))
        if not same[".png"]:
            measure, most = (ink_difference, COARSE) if versions else (picture_difference, TOLERANCE)
            difference = measure(path.with_suffix(".png"), again.with_suffix(".png"))
            if difference > most:
                problems.append(f"the picture that comes out now is another one (difference {difference:.2f})")
    return FigureCheck(name, tuple(problems), remade=True, identical=all(same.values()), versions=versions)


def _versions(then: dict[str, Any], now: dict[str, Any]) -> str:
    """Say which versions of matplotlib drew two figures, if they differ in more than the last place."""
    drawn = [str(record["libraries"]["matplotlib"]) for record in (then, now)]
    if drawn[0].split(".")[:2] == drawn[1].split(".")[:2]:
        return ""
    return f"matplotlib {drawn[0]} then, {drawn[1]} now"


def _make_again(record: dict[str, Any], known: Mapping[str, Trace], folder: str) -> Path:
    params = record["params"]
    captures = [
        Capture(str(capture["label"]), known[source["sha256"]], tuple(capture["clients"]))
        for capture, source in zip(params["captures"], record["traces"], strict=True)
    ]
    options = Options(params["bandwidth"], params["time_window"], params["packet_window"])
    return _make(params["figure"], captures, params["venue"], options, folder, record["font"], str(record["call"]))


def _same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def picture_difference(one: str | Path, other: str | Path) -> float:
    """Give the largest difference of brightness, 0 to 1, between two pictures in any square of 16 pixels.

    Letters of another build of a font engine differ in their edges, not in the ink of such a square; a bar or a line
    that moved does. Pictures of different sizes differ by 1.

    Parameters
    ----------
    one, other
        PNG files.
    """
    squares = [_brightness(file, 16) for file in (one, other)]
    return float(np.abs(squares[0] - squares[1]).max()) if squares[0].shape == squares[1].shape else 1.0


def ink_difference(one: str | Path, other: str | Path) -> float:
    """Give by how much of the larger one, 0 to 1, two pictures differ in the ink that they take.

    It finds a chart that is empty or lacks a part, not a line that moved.

    Parameters
    ----------
    one, other
        PNG files.
    """
    ink = [float(1 - _brightness(file, 1).mean()) for file in (one, other)]
    return abs(ink[0] - ink[1]) / max(*ink, 1e-9)


def _other_payloads(record: Mapping[str, Any], trace: Trace) -> list[str]:
    """Say if the table beside a capture, from which entropy and TLS types come, is another one than it was."""
    table = record.get("payload_table")
    before = str(table.get("sha256", "")) if isinstance(table, dict) else ""
    now = trace.source.payload_sha256
    if before == now:
        return []
    there, here = (f"SHA-256 {digest[:12]}…" if digest else "none" for digest in (before, now))
    return [f"the table with the payloads of {record['name']} was another one: {there}, now {here}"]


def _brightness(file: str | Path, side: int) -> npt.NDArray[np.float64]:
    """Mean brightness of each whole square of a picture."""
    picture = imread(str(file))[..., :3].mean(axis=2, dtype=np.float64)
    rows, columns = (size // side for size in picture.shape)
    squares = picture[: rows * side, : columns * side].reshape(rows, side, columns, side)
    brightness: npt.NDArray[np.float64] = squares.mean(axis=(1, 3))
    return brightness


def _known_traces(traces: Iterable[Trace | str | Path]) -> dict[str, Trace]:
    """Give the traces by the SHA-256 of their file; packaged ones are there without being asked for."""
    known = {example(name).sha256: example(name).path for name in examples().index}
    found: dict[str, Trace] = _Samples(known)
    for trace in traces:
        opened = trace if isinstance(trace, Trace) else read(trace)
        found[opened.source.sha256] = opened
    return found


class _Samples(dict[str, Trace]):
    """Traces by SHA-256; packaged ones are read when they are asked for."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        super().__init__()
        self._paths = paths

    def __contains__(self, digest: object) -> bool:
        return super().__contains__(digest) or digest in self._paths

    def __missing__(self, digest: str) -> Trace:
        self[digest] = read(self._paths[digest])
        return self[digest]


def _load(path: Path) -> dict[str, Any]:
    """Read the record of a figure; what is not one as `save_figure` writes it raises ToolkitError."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ToolkitError(f"{path}: not the JSON of a figure: {error}") from error
    text: Any = str | None
    kinds: dict[str, Any] = {"name": str, "call": text, "params": dict, "traces": list, "font": text, "libraries": dict}
    kinds["files"] = dict
    if not isinstance(record, dict):
        raise ToolkitError(f"{path}: not the JSON of a figure: it has no {', '.join(kinds)}")
    for key, kind in kinds.items():
        if key not in record:
            raise ToolkitError(f"{path}: not the JSON of a figure: it has no {key}")
        if not isinstance(record[key], kind):
            raise ToolkitError(f"{path}: not the JSON of a figure: {key} is {record[key]!r}")
    if set(record["files"]) != {f"{path.stem}{suffix}" for suffix in (".pdf", ".png", ".csv")}:
        raise ToolkitError(f"{path}: not the JSON of a figure of that name: its files are {list(record['files'])}")
    if not all(isinstance(trace, dict) and {"name", "sha256"} <= trace.keys() for trace in record["traces"]):
        raise ToolkitError(f"{path}: not the JSON of a figure: its traces have no name and SHA-256")
    if not isinstance(record["libraries"].get("matplotlib"), str):
        raise ToolkitError(f"{path}: not the JSON of a figure: it has no version of matplotlib")
    return record
