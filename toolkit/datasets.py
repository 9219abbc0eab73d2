"""The sample traces that ship with the package.

Real proxy software and ordinary browsing, recorded on the client side of an emulated network path and cut to whole
connections. What they hold, how they were cut and from what is in ``samples.json`` beside them.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from toolkit.errors import ToolkitError

if TYPE_CHECKING:
    from toolkit.trace import Trace

__all__ = ["Example", "example", "examples", "load_example"]


@dataclass(frozen=True)
class Example:
    """A sample trace: where it is and what is known about it.

    Attributes
    ----------
    name
        What `load_example` calls it.
    path
        The capture file.
    label, transport
        What the traffic is, in words and as one word.
    description
        What is in it, in one sentence.
    clients
        Addresses of the clients in it.
    proxied_clients
        Those of them that used the proxy.
    servers
        Where the clients connected to: ``"address:port/tcp"``, or a range of addresses.
    software
        What made the traffic, with versions.
    connections, packets
        How many there are.
    bytes
        Size of the file.
    duration
        Seconds from the first packet to the last.
    sha256
        Digest of the file.
    """

    name: str
    path: Path
    label: str
    transport: str
    description: str
    clients: tuple[str, ...]
    proxied_clients: tuple[str, ...]
    servers: tuple[str, ...]
    software: str
    connections: int
    packets: int
    bytes: int
    duration: float
    sha256: str


def examples() -> pd.DataFrame:
    """List the sample traces.

    Returns
    -------
    DataFrame
        One row a sample, indexed by `name`: `label`, `description`, `clients` (how many), `packets`, `megabytes`
        (millions of bytes), `duration` (s) and `software`.

    See Also
    --------
    example : all that is known about one of them.

    Examples
    --------
    >>> examples()[["clients", "packets"]]
                    clients  packets
    name
    https                 3     1219
    https_chromium        2     1439
    meek                  2     2738
    mixed_obfs4           4     1869
    obfs4                 3     1425
    shadowsocks           3     1459
    trojan                3     1573
    vmess_ws_tls          3     1379
    """
    samples = _samples().values()
    table = {
        "label": [sample.label for sample in samples],
        "description": [sample.description for sample in samples],
        "clients": [len(sample.clients) for sample in samples],
        "packets": [sample.packets for sample in samples],
        "megabytes": [sample.bytes / 1e6 for sample in samples],
        "duration": [sample.duration for sample in samples],
        "software": [sample.software for sample in samples],
    }
    return pd.DataFrame(table, index=pd.Index(list(_samples()), name="name"))


def example(name: str) -> Example:
    """Say what is known about a sample trace.

    Parameters
    ----------
    name
        One of the index of `examples`.

    Returns
    -------
    Example
        Its path, clients, software and more.

    Raises
    ------
    ValueError
        If there is no such sample: "`name` must be one of https, ..., got 'obsf4'; did you mean 'obfs4'?"

    Examples
    --------
    >>> example("mixed_obfs4").clients
    ('10.77.0.11', '10.77.0.12', '10.77.0.13', '10.77.0.14')
    >>> example("mixed_obfs4").proxied_clients
    ('10.77.0.11',)
    >>> example("obsf4")
    Traceback (most recent call last):
    ValueError: `name` must be one of https, ..., vmess_ws_tls, got 'obsf4'; did you mean 'obfs4'?
    """
    samples = _samples()
    if name not in samples:
        close = difflib.get_close_matches(str(name), samples, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"`name` must be one of {', '.join(samples)}, got {name!r}{hint}")
    return samples[name]


def load_example(name: str) -> Trace:
    """Read a sample trace.

    Parameters
    ----------
    name
        One of the index of `examples`.

    Returns
    -------
    Trace
        What `toolkit.read` makes of ``example(name).path``.

    Raises
    ------
    ValueError
        If there is no such sample.

    Examples
    --------
    >>> trace = load_example("obfs4")
    >>> len(trace.packets)
    1425
    """
    from toolkit.capture.reader import read

    return read(example(name).path)


@cache
def _samples() -> dict[str, Example]:
    folder = resources.files("toolkit") / "samples"
    if not isinstance(folder, Path):
        raise ToolkitError(f"the sample traces must be files on disk to be read, but the package is packed: {folder}")
    document = json.loads((folder / "samples.json").read_text(encoding="utf-8"))
    return {entry["name"]: _parse(entry, folder) for entry in document["samples"]}


def _parse(entry: dict[str, Any], folder: Path) -> Example:
    return Example(
        name=entry["name"],
        path=folder / f"{entry['name']}.pcap",
        label=entry["label"],
        transport=entry["transport"],
        description=entry["description"],
        clients=tuple(entry["clients"]),
        proxied_clients=tuple(entry["proxied_clients"]),
        servers=tuple(entry["servers"]),
        software=entry["software"],
        connections=entry["connections"],
        packets=entry["packets"],
        bytes=entry["bytes"],
        duration=entry["duration"],
        sha256=entry["sha256"],
    )
