"""The table beside an anonymised capture: what was computed of each payload before its bytes became zeros.

``trace.pcap`` has ``trace.pcap.payload.parquet``. A row a packet, in the order of the file:

- ``time`` and ``payload_length``, by which a row is known to be of its packet (both are in the capture, too);
- ``entropy``, bits/byte: all that `toolkit.payload_entropy`, the feature set ``entropy`` and `toolkit.entropy_counts`
  need;
- ``tls_type``: the content type of the TLS record that starts the payload, 0 if none does.

Entropy is kept exactly, so that features come out the same. It says how often byte values occur in a payload, not
which; of a payload of two bytes it says whether they are equal.

`toolkit.read` takes the table by itself if it lies beside the capture, also when the capture was compressed or made
into another format since. A table of other packets is not taken, with a warning.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from toolkit.columns import Columns
from toolkit.errors import CaptureWarning, ToolkitError
from toolkit.trace import Trace

SUFFIX = ".payload.parquet"
COMPRESSED = (".gz", ".zst", ".xz", ".bz2")


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


def restore(
    capture: str, columns: Columns, problems: list[CaptureWarning]
) -> tuple[Columns, npt.NDArray[np.float64] | None]:
    """Take `tls_type` and the entropy from the table beside a capture, if there is one that fits."""
    path = table_path(capture)
    if not path.is_file():
        return columns, None
    expected = f"the payloads of this capture in {path.name}"
    note = "entropy and TLS types are of the bytes in the capture"
    try:
        table = pd.read_parquet(path, engine="pyarrow", columns=["time", "payload_length", "tls_type", "entropy"])
        time = pd.DatetimeIndex(table["time"]).as_unit("ns").asi8
        length = table["payload_length"].to_numpy(np.int32)
        tls = table["tls_type"].to_numpy(np.uint8)
        entropy = table["entropy"].to_numpy(np.float64)
    except ImportError:
        found = "that pyarrow is not installed (pip install 'traffic-toolkit[privacy]')"
        problems.append(CaptureWarning(capture, expected, found, note=note))
        return columns, None
    except (OSError, ValueError, KeyError, TypeError, NotImplementedError) as error:  # what pyarrow raises
        problems.append(CaptureWarning(capture, expected, str(error).splitlines()[0], note=note))
        return columns, None
    found = ""
    if len(table) != len(columns.time):
        found = f"a table of {len(table):,} packets, not of {len(columns.time):,}"
    elif not (np.array_equal(time, columns.time) and np.array_equal(length, columns.payload_length)):
        row = int(np.argmax((time != columns.time) | (length != columns.payload_length)))
        found = f"another time or payload length in row {row}"
    elif not ((entropy >= 0) & (entropy <= 8)).all():
        found = "an entropy that is not from 0 to 8"
    if found:
        problems.append(CaptureWarning(capture, expected, found, note=note))
        return columns, None
    tls, entropy = tls.copy(), entropy.copy()
    restored = columns._replace(tls_type=tls)
    restored.freeze()
    entropy.flags.writeable = False
    return restored, entropy
