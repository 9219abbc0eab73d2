"""The table beside an anonymised capture: what was computed of each payload before its bytes became zeros.

``trace.pcap`` has ``trace.pcap.payload.parquet``. A row a packet, in the order of the file:

- ``time`` and ``payload_length``, by which a row is known to be of its packet (both are in the capture, too);
- ``entropy``, bits/byte: all that `toolkit.payload_entropy`, the feature set ``entropy`` and `toolkit.entropy_counts`
  need;
- ``tls_type``: the content type of the TLS record that starts the payload, 0 if none does.

Entropy is kept exactly, so that features come out the same. It says how often byte values occur in a payload, not
which; of a payload of two bytes it says whether they are equal.

`toolkit.read` takes the table by itself if it lies beside the capture, also when the capture was compressed or made
into another format since. A table of other packets, or one that contradicts the bytes in the capture, is not taken,
with a warning; where there is none, and every payload byte is zero, `toolkit.read` warns of that.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit._jit import Int, kernel
from toolkit.columns import NO_FRAME, Columns
from toolkit.errors import CaptureWarning, ToolkitError
from toolkit.storage import Bytes, Pass
from toolkit.trace import Trace

SUFFIX = ".payload.parquet"
COMPRESSED = (".gz", ".zst", ".xz", ".bz2")
_ROUNDED = 1e-9  # bits/byte, by which logarithms of another machine may differ


def table_path(capture: str | os.PathLike[str]) -> Path:
    """Give where the table of a capture lies.

    Examples
    --------
    >>> table_path("data/obfs4.pcap").name, table_path("data/obfs4.pcap.gz").name
    ('obfs4.pcap.payload.parquet', 'obfs4.pcap.payload.parquet')
    """
    path = Path(capture)
    name = path.stem if path.suffix.lower() in COMPRESSED else path.name
    return path.with_name(name + SUFFIX)


def payload_table(trace: Trace) -> pd.DataFrame:
    """Give what the table beside a capture holds."""
    from toolkit.entropy import payload_entropy  # which is made of what is read

    return pd.DataFrame(
        {
            "time": pd.DatetimeIndex(trace.column("time"), dtype="datetime64[ns, UTC]"),
            "payload_length": trace.column("payload_length"),
            "tls_type": trace.column("tls_type"),
            "entropy": payload_entropy(trace),
        }
    )


def write_payload_table(table: pd.DataFrame, path: Path) -> None:
    """Write the table.

    Raises
    ------
    ToolkitError
        If pyarrow is not installed.
    """
    try:
        table.to_parquet(path, engine="pyarrow", index=False)
    except ImportError as error:
        message = "a capture without payload has a Parquet table beside it, which needs pyarrow"
        raise ToolkitError(f"{message}: pip install 'traffic-toolkit[privacy]'") from error


class Kept(NamedTuple):
    """What is known of the payloads of a capture, whose bytes may be zeros."""

    columns: Columns
    entropy: npt.NDArray[np.float64] | None  # None where that of the bytes counts
    table: str = ""  # name of the table that was taken
    digest: str = ""  # its SHA-256
    zeros: int = 0  # packets with payload, if every payload byte is zero and no table says what was there
    fault: CaptureWarning | None = None  # why the table that lies there was not taken
    warning: CaptureWarning | None = None  # of these zeros: it may be so, `strict` or not


class _MisfitError(Exception):
    """Why a table is not taken."""


def restore(trace: Trace, capture: str) -> Kept:
    """Take `tls_type` and the entropy from the table beside a capture, if there is one that fits.

    `trace` has all packets of the capture as its bytes give them. The payload bytes are read up to the first that is
    not zero.
    """
    path = table_path(capture)
    if not path.is_file() and os.path.islink(capture):
        path = table_path(os.path.realpath(capture))
    told, fault = _first_payload(trace), None
    if path.is_file():
        try:
            return _taken(trace, path, told)
        except _MisfitError as error:
            expected = f"the payloads of this capture in {path.name}"
            note = "entropy and TLS types are of the bytes in the capture"
            if not isinstance(error.__cause__, ImportError):
                note += ": put its own table there, or remove this one"
            fault = CaptureWarning(capture, expected, str(error), note=note)
    captured = trace.column("payload_captured")
    if told >= 0 or not (captured > 1).any():  # a table could say no more of single bytes
        return Kept(trace.columns, None, fault=fault)
    zeros = int((captured > 0).sum())
    warning = CaptureWarning(
        capture,
        "payload",
        f"nothing but zeros in the payload of {zeros:,} packets, and no table {path.name} that says what was there",
        note="entropy and TLS types are those of zeros. If the capture was anonymised, put that table, which was "
        "written with it, beside it and read again; if zeros were sent, as some speed tests do, all is well",
    )
    return Kept(trace.columns, None, zeros=zeros, fault=fault, warning=None if fault else warning)


def _taken(trace: Trace, path: Path, told: int) -> Kept:
    """Take what a table says; `told` is the first packet whose payload is not only zeros, -1 for none."""
    digest, time, length, tls, entropy = _columns_of(path)
    columns = trace.columns
    if len(time) != len(trace):
        raise _MisfitError(
            f"a table of {len(time):,} packets, not of {len(trace):,} (of a part, `Trace.to_pcap` writes a table too)"
        )
    by_tshark = columns.link_type == NO_FRAME
    # it may tell a longer one, where headers contradict each other, or none; and not all payload bytes
    tolerated = by_tshark & ((columns.payload_length == 0) | (columns.payload_length > length))
    other = (length != columns.payload_length) & ~tolerated
    wrong = (time != columns.time) | other
    if wrong.any():
        raise _MisfitError(f"another time or payload length in row {np.argmax(wrong)}")
    if not ((entropy >= 0) & (entropy <= 8)).all():
        raise _MisfitError("an entropy that is not from 0 to 8")
    size = np.where(by_tshark, length, columns.payload_captured)
    most = np.log2(np.clip(size, 1, 256))
    wrong = entropy > most + _ROUNDED
    if wrong.any():
        row = int(np.argmax(wrong))
        found = f"an entropy of {entropy[row]:.3f} in row {row}"
        raise _MisfitError(f"{found}, where {size[row]} bytes have at most {most[row]:.3f}")
    wrong = (tls != 0) & ((tls < 20) | (tls > 24) | (columns.protocol != 6) | (size < 5))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise _MisfitError(f"TLS type {tls[row]} in row {row}, where there is no such record in {size[row]} bytes")
    if told >= 0:
        _agree(trace, told, entropy, tls)
    restored = columns._replace(tls_type=tls)
    restored.freeze()
    entropy.flags.writeable = False
    return Kept(restored, entropy, path.name, digest)


def _columns_of(
    path: Path,
) -> tuple[str, npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.uint8], npt.NDArray[np.float64]]:
    """Read the file's SHA-256 and the columns `time`, `payload_length`, `tls_type` and `entropy`."""
    try:
        with open(path, "rb") as file:
            if file.read(4) != b"PAR1":
                raise _MisfitError("a file that is no Parquet table")
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            table = pd.read_parquet(file, engine="pyarrow", columns=["time", "payload_length", "tls_type", "entropy"])
        return (
            digest,
            pd.DatetimeIndex(table["time"]).as_unit("ns").asi8,
            table["payload_length"].to_numpy(np.int32),
            table["tls_type"].to_numpy(np.uint8, copy=True),
            table["entropy"].to_numpy(np.float64, copy=True),
        )
    except ImportError as error:
        raise _MisfitError("that pyarrow is not installed (pip install 'traffic-toolkit[privacy]')") from error
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError) as error:  # what pyarrow raises
        said = getattr(error, "strerror", None) or str(error).splitlines()[0].replace(str(path), path.name)
        raise _MisfitError(f"a table that cannot be read: {said}") from error


def _agree(trace: Trace, told: int, entropy: npt.NDArray[np.float64], tls: npt.NDArray[np.uint8]) -> None:
    """Check that a table says what payload bytes say where there are any: some may have been kept."""
    from toolkit.entropy import entropy as entropy_of_bytes
    from toolkit.entropy import payload_entropy

    here = entropy_of_bytes(trace.payload(told))
    if abs(here - entropy[told]) <= _ROUNDED:  # of another capture, this would be a rare chance
        of_bytes, types = payload_entropy(trace), trace.column("tls_type")
        wrong = ((of_bytes > 0) & (np.abs(of_bytes - entropy) > _ROUNDED)) | ((types != 0) & (types != tls))
        if not wrong.any():
            return
        told = int(np.argmax(wrong))
        here = float(of_bytes[told])
    said = f"entropy {entropy[told]:.3f} and TLS type {tls[told]} in row {told}"
    there = f"entropy {here:.3f} and TLS type {trace.column('tls_type')[told]}"
    raise _MisfitError(f"{said}, where the capture has payload bytes of {there}")


def _first_payload(trace: Trace) -> int:
    """Give the first packet whose payload bytes are not all zero, -1 for none."""
    columns, at_hand, done = trace.columns, Pass(trace.storage), 0
    while True:
        done, found = _while_zeros(at_hand.data, at_hand.base, columns, done)
        if found or done == len(trace):
            trace.storage.check()
            return int(done) if found else -1
        size = int(columns.payload_captured[done])
        at_hand.load(int(columns.frame_offset[done]), int(columns.payload_start[done]), size)


@kernel
def _while_zeros(data: Bytes, base: Int, columns: Columns, done: Int) -> tuple[Int, bool]:
    """Go on after `done` packets until the payload of one is not in `data`, or is not all zeros (then also True)."""
    for row in range(done, len(columns.time)):
        captured = np.int64(columns.payload_captured[row])
        if captured == 0:
            continue
        first = columns.frame_offset[row] + columns.payload_start[row] - base
        if first < 0 or first + captured > len(data):
            return row, False
        for i in range(first, first + captured):
            if data[i] != 0:
                return row, True
    return len(columns.time), False
