"""Paper figures: sizes and fonts of venues, and files that say where they come from."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import io
import ipaddress
import json
import math
import os
import platform
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeAlias

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import style
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager, get_font
from matplotlib.text import Text

from toolkit._version import __version__
from toolkit.drawn import drawn_data
from toolkit.trace import Trace

Venue: TypeAlias = Literal["usenix", "acm", "ieee", "lncs", "talk", "notebook"]
Columns: TypeAlias = Literal[1, 2]
Data: TypeAlias = "pd.DataFrame | pd.Series[Any] | Mapping[str, pd.DataFrame | pd.Series[Any]]"

WIDTHS: dict[str, tuple[float, float]] = {
    "usenix": (3.335, 7.0),
    "acm": (3.337, 7.006),
    "ieee": (3.5, 7.16),
    "lncs": (4.803, 4.803),
    "talk": (6.0, 12.3),
    "notebook": (6.4, 10.0),
}
"""Width of a figure over one and over two columns, in inches, by venue. LNCS has one column."""

LIBRARIES = ("matplotlib", "numpy", "pandas", "numba", "scikit-learn")

# As matplotlib has them: what a notebook or a theme sets must neither show in the files nor stop fonts being embedded.
_WRITING: dict[Any, Any] = {
    key: value for key, value in mpl.rcParamsDefault.items() if key.startswith(("savefig.", "pdf."))
} | {key: mpl.rcParamsDefault[key] for key in ("path.snap", "text.hinting")}
_WRITING |= {"pdf.fonttype": 42, "ps.fonttype": 42}
# `Figure.savefig` sets the layout engine back to what it was, and None, for none, means the one that these name
_WRITING |= {"figure.autolayout": False, "figure.constrained_layout.use": False}

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def paper_width(venue: Venue, columns: Columns = 1) -> float:
    """Width of a figure in inches.

    Parameters
    ----------
    venue
        ``"usenix"``, ``"acm"`` (sigconf), ``"ieee"``, ``"lncs"`` (which has one column: both give its width),
        ``"talk"`` or ``"notebook"``.
    columns
        1 or 2.

    Raises
    ------
    ValueError
        If there is no such venue or number of columns.

    Examples
    --------
    >>> paper_width("usenix"), paper_width("usenix", 2)
    (3.335, 7.0)
    """
    if venue not in WIDTHS:
        raise ValueError(f"`venue` must be one of {', '.join(WIDTHS)}, got {venue!r}")
    if isinstance(columns, bool) or columns not in (1, 2):
        raise ValueError(f"`columns` must be 1 or 2, got {columns!r}")
    return WIDTHS[venue][columns - 1]


@contextlib.contextmanager
def paper(venue: Venue, columns: Columns = 1, *, font: str | None = None) -> Iterator[None]:
    """Draw for a paper: inside the block, figures have the width, the font and the line widths of a venue.

    Text is at least 8 points as printed, if the figure is included at its own size, and fonts are embedded as Type 42.
    What a ``matplotlibrc`` or a style sets does not hold inside.

    Parameters
    ----------
    venue, columns
        See `paper_width`. The height is 0.75 of the width of one column, 0.45 of two; give ``figsize`` for another.
    font
        A family to use. If None, the first of the venue's list (in the package's ``styles/*.mplstyle``) that is
        installed as a TrueType font; the last of each list, STIXGeneral, comes with matplotlib.

    Raises
    ------
    ValueError
        If there is no such venue or number of columns, or the font is not installed as TrueType.

    Examples
    --------
    >>> import toolkit
    >>> clusters = toolkit.cluster_lengths(toolkit.load_example("obfs4"))
    >>> with toolkit.paper("usenix"):
    ...     ax = toolkit.plot_length_clusters(clusters)
    >>> ax.figure.get_size_inches().round(3).tolist()
    [3.335, 2.501]
    """
    width = paper_width(venue, columns)
    folder = resources.files("toolkit") / "styles"
    with style.context([str(folder / "base.mplstyle"), str(folder / f"{venue}.mplstyle")], after_reset=True):
        serif = mpl.rcParams["font.family"] == ["serif"]
        wanted = mpl.rcParams["font.serif" if serif else "font.sans-serif"] if font is None else [font]
        # the family by its name, not "serif": what that is would be asked again when the figure is saved
        mpl.rcParams["font.family"] = [_installed(wanted), "DejaVu Serif" if serif else "DejaVu Sans"]
        mpl.rcParams["figure.figsize"] = (width, width * (0.75 if columns == 1 else 0.45))
        yield


def _installed(families: Iterable[str]) -> str:
    """Give the first family that is there as TrueType: others cannot be embedded as Type 42."""
    there = {entry.name for entry in fontManager.ttflist if Path(entry.fname).suffix.lower() in (".ttf", ".ttc")}
    for family in families:
        if family in there:
            return family
    raise ValueError(f"no TrueType font {', '.join(families)} is installed")


def check_name(name: str) -> str:
    """Give the name of a figure back if files can be called so.

    Raises
    ------
    ValueError
        If it has anything but letters, digits, ``.``, ``_`` and ``-``, or begins with ``.``.

    Examples
    --------
    >>> check_name("obfs4-lengths")
    'obfs4-lengths'
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"`name` must be letters, digits, '.', '_' and '-', not beginning with '.', got {name!r}")
    return name


def save_figure(
    fig: Figure,
    name: str,
    *,
    data: Data | None = None,
    params: Mapping[str, Any] | None = None,
    traces: Iterable[Trace | str | os.PathLike[str]] = (),
    folder: str | os.PathLike[str] = "figures",
) -> Path:
    """Write a figure with what is drawn and where it comes from: ``name.pdf``, ``.png``, ``.csv`` and ``.json``.

    Made again from the same inputs with the same versions, all four are the same to the byte, whether the figure was
    shown before or not, inside `paper` or after it. They replace those of an earlier figure only when all four are
    written; the JSON has the digests of the others and comes last, so that a mix of two figures is found by
    `toolkit.verify_figure`.

    Parameters
    ----------
    fig
        Saved at its own size (no cropping: the width of a column stays that width), fonts as Type 42, PNG at 300 dpi.
    name
        Of the files, without ending: letters, digits, ``.``, ``_``, ``-``.
    data
        Exactly what is drawn: a table (its index is written if it has a name), or several by name, which become one
        CSV with a first column ``part``. If None, `toolkit.drawn.drawn_data` reads it off the figure.
    params
        What the figure depends on; what is under ``"call"`` stands apart, as how it was made. Of a path (``Path``) only
        the file name is written; text is written as it is, so name no folders in it.
    traces
        The captures behind it, as traces or paths. Their file names (without folder) and SHA-256 are recorded.
    folder
        Made if it is absent.

    Returns
    -------
    Path
        Of the JSON.

    Raises
    ------
    TypeError
        If `fig` is no `Figure`, `data` no table, `traces` no list, a parameter has no JSON form, or what is drawn
        cannot be read off the figure.
    ValueError
        If `name` is no plain file name.
    IsADirectoryError
        If a folder has the name of one of the files.

    Examples
    --------
    >>> import tempfile, toolkit
    >>> trace = toolkit.load_example("obfs4")
    >>> clusters = toolkit.cluster_lengths(trace, bandwidth=5)
    >>> with toolkit.paper("acm"):
    ...     ax = toolkit.plot_length_clusters(clusters)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_figure(
    ...         ax.figure, "lengths", data=clusters.to_frame(), params={"bandwidth": 5}, traces=[trace], folder=folder
    ...     )
    ...     sorted(file.name for file in path.parent.iterdir())
    ['lengths.csv', 'lengths.json', 'lengths.pdf', 'lengths.png']
    """
    if not isinstance(fig, Figure):
        raise TypeError(f"`fig` must be a Figure, got {type(fig).__name__} (of an Axes, give `ax.figure`)")
    check_name(name)
    if isinstance(traces, Trace | str | os.PathLike):
        raise TypeError(f"`traces` must be a list of traces or paths, got one {type(traces).__name__}")
    files = render_figure(fig, name, data, params or {}, traces)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for suffix in files:  # before the first is replaced: a folder cannot be
        if (target / f"{name}{suffix}").is_dir():
            raise IsADirectoryError(f"{name}{suffix} is a folder, not a file of an earlier figure")
    token = secrets.token_hex(8)
    temporary = {suffix: target / f".{name}-{token}{suffix}" for suffix in files}
    try:
        for suffix, content in files.items():
            temporary[suffix].write_bytes(content)
        for suffix in files:  # in their order, the JSON last
            temporary[suffix].replace(target / f"{name}{suffix}")
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)
    return target / f"{name}.json"


def render_figure(
    fig: Figure,
    name: str,
    data: Data | None,
    params: Mapping[str, Any],
    traces: Iterable[Trace | str | os.PathLike[str]],
) -> dict[str, bytes]:
    """Give what `save_figure` writes, by suffix."""
    files: dict[str, bytes] = {}
    with mpl.rc_context({**_WRITING, **_tick_sizes(fig)}), _laid_out(fig):
        record = {
            "name": name,
            "toolkit": __version__,
            "call": _plain("call", params.get("call")),
            "params": {str(key): _plain(str(key), value) for key, value in params.items() if key != "call"},
            "traces": [entry for trace in traces for entry in _provenance(trace)],
            "font": _font(fig),
            "size_inches": [round(float(size), 4) for size in fig.get_size_inches()],
            "libraries": {"python": platform.python_version()}
            | {library: importlib.metadata.version(library) for library in LIBRARIES},
        }
        for suffix, options in ((".pdf", {"metadata": {"CreationDate": None}}), (".png", {"dpi": 300})):
            file = io.BytesIO()
            fig.savefig(file, format=suffix[1:], **options)
            files[suffix] = file.getvalue()
    files[".csv"] = _csv(drawn_data(fig) if data is None else data).encode()
    record["files"] = {f"{name}{suffix}": hashlib.sha256(files[suffix]).hexdigest() for suffix in files}
    files[".json"] = (json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    return files


def _tick_sizes(fig: Figure) -> dict[Any, float]:
    """Give the size of the tick labels as settings: drawing asks the settings, not the labels, how many ticks fit."""
    sizes: dict[Any, float] = {}
    for name in ("xaxis", "yaxis"):
        for axis in (getattr(ax, name) for ax in fig.axes):
            if "labelsize" not in axis.get_tick_params():
                sizes[f"{name[0]}tick.labelsize"] = float(axis.get_major_ticks(1)[0].label1.get_fontsize())
                break
    return sizes


@contextlib.contextmanager
def _laid_out(fig: Figure) -> Iterator[None]:
    """Hold the layout still: each draw would move it a little, and the files would depend on how often it was drawn."""
    engine = fig.get_layout_engine()
    if engine is None:
        fig.draw_without_rendering()  # nothing moves, but ticks have no text before
        yield
        return
    now = before = np.array([])
    for _ in range(40):  # most charts rest after 3; axes of equal scales come closer by a third each time
        engine.execute(fig)
        now = np.array([ax.get_position(original=True).bounds for ax in fig.axes])
        if now.shape == before.shape and np.allclose(now, before, rtol=0, atol=1e-12):
            break
        before = now
    # where it comes to rest depends in the last bits on how it was drawn before, and a pixel or a digit on these
    for ax, place in zip(fig.axes, now.round(6).tolist(), strict=True):
        if ax.get_in_layout():
            ax.set_position(place)
            ax.set_in_layout(True)  # to be given a place takes it out
    fig.set_layout_engine("none")
    try:
        yield
    finally:
        fig.set_layout_engine(engine)


def _font(fig: Figure) -> str | None:
    """Give the family that the text of a figure, once it is drawn, is really set in; None if there is no text."""
    for text in fig.findobj(Text):
        if isinstance(text, Text) and text.get_visible() and text.get_text():
            return str(get_font(findfont(text.get_fontproperties())).family_name)
    return None


def _provenance(trace: Trace | str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    if isinstance(trace, Trace):
        for source in trace.sources:
            record: dict[str, Any] = {"name": source.name, "sha256": source.sha256, "history": list(trace.history)}
            if source.payload_table:
                record["payload_table"] = {"name": source.payload_table, "sha256": source.payload_sha256}
            if source.zero_payloads:
                record["payload_of_zeros"] = source.zero_payloads  # packets
            yield record
    else:
        with open(trace, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield {"name": Path(trace).name, "sha256": digest, "history": []}


def _csv(data: Data) -> str:
    if isinstance(data, Mapping):
        if not data:
            raise ValueError("`data` must be a table or have one, got an empty mapping")
        # as objects, since a column that another part lacks would turn its integers into floats
        parts = [_columns(table).astype(object) for table in data.values()]
        for part, name in zip(parts, data, strict=True):
            part.insert(0, "part", name)
        return pd.concat(parts, ignore_index=True).to_csv(index=False, lineterminator="\n")
    return _columns(data).to_csv(index=False, lineterminator="\n")


def _columns(table: pd.DataFrame | pd.Series[Any]) -> pd.DataFrame:
    """Give a table whose index, if it has a name or several levels, is a column or several."""
    if isinstance(table, pd.Series):
        table = table.to_frame()
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"`data` must be a DataFrame, a Series or a mapping of these, got {type(table).__name__}")
    return table.reset_index(drop=table.index.nlevels == 1 and table.index.name is None)


def _plain(key: str, value: Any) -> Any:
    """Give a parameter as JSON has it."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"the parameter {key!r} must be finite, got {value!r}")
        return value
    if isinstance(value, np.datetime64 | np.timedelta64):  # `item` would give nanoseconds as a bare number
        return _plain(key, pd.Timestamp(value) if isinstance(value, np.datetime64) else pd.Timedelta(value))
    if isinstance(value, np.generic):
        return _plain(key, value.item())
    if isinstance(value, Mapping):
        return {str(name): _plain(f"{key}.{name}", item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        items = [_plain(key, item) for item in value]
        if isinstance(value, set | frozenset):  # by what is written: not by hash, nor by folders that are left out
            items.sort(key=lambda item: (str(item), type(item).__name__))
        return items
    if isinstance(value, os.PathLike):
        return Path(value).name  # its folder is of no use elsewhere, and may name someone
    known = (pd.Timestamp, pd.Timedelta, ipaddress.IPv4Address, ipaddress.IPv6Address)
    if isinstance(value, (*known, ipaddress.IPv4Network, ipaddress.IPv6Network)):
        return str(value)
    raise TypeError(f"the parameter {key!r} has no JSON form: {value!r} of type {type(value).__name__}")
