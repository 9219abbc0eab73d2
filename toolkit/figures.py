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
Data: TypeAlias = "pd.DataFrame | pd.Series[Any] | Mapping[str, pd.DataFrame]"

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

    Parameters
    ----------
    venue, columns
        See `paper_width`. The height is 0.62 of the width of one column, 0.4 of two; give ``figsize`` for another.
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
    >>> ax.figure.get_size_inches().tolist()
    [3.335, 2.0677]
    """
    width = paper_width(venue, columns)
    folder = resources.files("toolkit") / "styles"
    with style.context([str(folder / "base.mplstyle"), str(folder / f"{venue}.mplstyle")]):
        serif = mpl.rcParams["font.family"] == ["serif"]
        wanted = mpl.rcParams["font.serif" if serif else "font.sans-serif"] if font is None else [font]
        # the family by its name, not "serif": what that is would be asked again when the figure is saved
        mpl.rcParams["font.family"] = [_installed(wanted), "DejaVu Serif" if serif else "DejaVu Sans"]
        mpl.rcParams["figure.figsize"] = (width, width * (0.62 if columns == 1 else 0.4))
        yield


def _installed(families: Iterable[str]) -> str:
    """Give the first family that is there as TrueType: others cannot be embedded as Type 42."""
    there = {entry.name for entry in fontManager.ttflist if Path(entry.fname).suffix.lower() in (".ttf", ".ttc")}
    for family in families:
        if family in there:
            return family
    raise ValueError(f"no TrueType font {', '.join(families)} is installed")


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

    Made again from the same inputs with the same versions, all four are the same to the byte. They replace those of an
    earlier figure only when all four are written; the JSON has the digests of the others and comes last, so that a mix
    of two figures is found by `toolkit.verify_figure`.

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
        What the figure depends on; what is under ``"call"`` stands apart, as how it was made.
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
        If `fig` is no `Figure`, a parameter has no JSON form, or what is drawn cannot be read off the figure.
    ValueError
        If `name` is no plain file name.

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
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"`name` must be letters, digits, '.', '_' and '-', not beginning with '.', got {name!r}")
    files = render_figure(fig, name, data, params or {}, traces)
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
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
    files: dict[str, bytes] = {}
    with mpl.rc_context({"pdf.fonttype": 42, "ps.fonttype": 42, "savefig.bbox": None}), _laid_out(fig):
        for suffix, options in ((".pdf", {"metadata": {"CreationDate": None}}), (".png", {"dpi": 300})):
            file = io.BytesIO()
            fig.savefig(file, format=suffix[1:], **options)
            files[suffix] = file.getvalue()
    files[".csv"] = _csv(drawn_data(fig) if data is None else data).encode()
    record["files"] = {f"{name}{suffix}": hashlib.sha256(files[suffix]).hexdigest() for suffix in files}
    files[".json"] = (json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    return files


@contextlib.contextmanager
def _laid_out(fig: Figure) -> Iterator[None]:
    """Hold the layout still: each draw would move it a little, and the files would depend on how often it was drawn."""
    engine = fig.get_layout_engine()
    before: list[Any] = []
    for _ in range(8):
        if engine is not None:
            engine.execute(fig)
        now = [ax.get_position().bounds for ax in fig.axes]
        if now == before:
            break
        before = now
    fig.set_layout_engine("none")
    try:
        yield
    finally:
        fig.set_layout_engine(engine)


def _font(fig: Figure) -> str:
    """Give the family that the text of a figure is really set in."""
    shown = (text for text in fig.findobj(Text) if isinstance(text, Text) and text.get_visible() and text.get_text())
    text = next(shown, Text())
    return str(get_font(findfont(text.get_fontproperties())).family_name)


def _provenance(trace: Trace | str | os.PathLike[str]) -> Iterator[dict[str, Any]]:
    if isinstance(trace, Trace):
        for source in trace.sources:
            yield {"name": source.name, "sha256": source.sha256, "history": list(trace.history)}
    else:
        with open(trace, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield {"name": Path(trace).name, "sha256": digest, "history": []}


def _csv(data: Data) -> str:
    if isinstance(data, Mapping):
        # as objects, since a column that another part lacks would turn its integers into floats
        parts = [_columns(table).astype(object) for table in data.values()]
        for part, name in zip(parts, data, strict=True):
            part.insert(0, "part", name)
        return pd.concat(parts, ignore_index=True).to_csv(index=False, lineterminator="\n")
    return _columns(data.to_frame() if isinstance(data, pd.Series) else data).to_csv(index=False, lineterminator="\n")


def _columns(table: pd.DataFrame) -> pd.DataFrame:
    """Give a table whose index, if it has a name, is a column."""
    return table.reset_index(drop=all(name is None for name in table.index.names))


def _plain(key: str, value: Any) -> Any:
    """Give a parameter as JSON has it."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"the parameter {key!r} must be finite, got {value!r}")
        return value
    if isinstance(value, np.generic):
        return _plain(key, value.item())
    if isinstance(value, Mapping):
        return {str(name): _plain(f"{key}.{name}", item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset | np.ndarray):
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [_plain(key, item) for item in items]
    if isinstance(value, os.PathLike):
        return Path(value).name  # its folder is of no use elsewhere, and may name someone
    known = (pd.Timestamp, pd.Timedelta, ipaddress.IPv4Address, ipaddress.IPv6Address)
    if isinstance(value, (*known, ipaddress.IPv4Network, ipaddress.IPv6Network)):
        return str(value)
    raise TypeError(f"the parameter {key!r} has no JSON form: {value!r} of type {type(value).__name__}")
