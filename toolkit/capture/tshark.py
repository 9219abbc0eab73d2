"""Ask tshark, the command line of Wireshark, about a capture: which frames a filter keeps, what a field says.

Sources: https://www.wireshark.org/docs/man-pages/tshark.html and wireshark-filter.html beside it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pandas as pd

from toolkit.capture.framing import Framing, read_frames
from toolkit.capture.sources import open_capture
from toolkit.errors import CaptureError, CaptureWarning, ToolkitError
from toolkit.storage import CaptureFile

LEAST = (4, 0)
"""The oldest version that is tested. The display filters that we write need it: ``tcp.len#1`` is of 4.0."""

BETWEEN = "\x1f"
"""Stands between the values of a field that a frame has several of."""

_CHUNK = 16_384  # frames turned into columns at a time
CUT = "cut short in the middle of a packet"
_NOISE = ("Running as user",)  # said at each start, of no use to the reader
_INSTALL = (
    "install it (Debian, Ubuntu: apt-get install tshark; macOS: brew install wireshark; Windows: "
    "https://www.wireshark.org/download.html)"
)
OTHERWISE = ", or read with engine='native', which needs none"
"""How the message that there is no tshark ends."""


class WiresharkError(ToolkitError):
    """Wireshark's programs cannot do what was asked: they are absent, too old, or do not understand it."""


class FilterError(WiresharkError, ValueError):
    """A display filter or a field name that tshark does not understand; the message is its own."""


@dataclass(frozen=True)
class Tshark:
    """An installed tshark: its path, and its version such as ``(4, 0, 17)``."""

    path: str
    version: tuple[int, ...]

    @property
    def name(self) -> str:
        """``"tshark 4.0.17"``."""
        return f"tshark {'.'.join(map(str, self.version))}"


def find_tshark() -> Tshark:
    """Find tshark in the search path, or where Wireshark's installer puts it on Windows and macOS.

    Raises
    ------
    WiresharkError
        If there is none, or it is older than `LEAST`; the message says how to install it.
    """
    path = shutil.which("tshark") or next((place for place in _usual_places() if Path(place).is_file()), None)
    if path is None:
        raise WiresharkError(f"expected tshark {LEAST[0]}.{LEAST[1]} or newer, found none: {_INSTALL}{OTHERWISE}")
    said = _version_text(path, os.stat(path).st_mtime_ns)
    found = re.search(r"\b(\d+)\.(\d+)\.(\d+)", said)
    if found is None:
        raise WiresharkError(f"expected {path} to tell its version, found {said.partition(os.linesep)[0]!r}")
    tshark = Tshark(path, tuple(int(part) for part in found.groups()))
    if tshark.version < LEAST:
        expected = f"expected tshark {LEAST[0]}.{LEAST[1]} or newer"
        raise WiresharkError(f"{expected}, found {tshark.name}: {_INSTALL}{OTHERWISE}")
    return tshark


@cache
def _version_text(path: str, changed: int) -> str:
    """Ask a program for its version: once, unless it was `changed` (nanoseconds since 1970)."""
    with interrupts_held():
        return subprocess.run([path, "--version"], capture_output=True, text=True, errors="replace", check=False).stdout


def _usual_places() -> list[str]:
    if sys.platform == "win32":
        roots = [os.environ.get(name) for name in ("ProgramFiles", "ProgramFiles(x86)")]
        return [str(Path(root, "Wireshark", "tshark.exe")) for root in roots if root]
    return ["/Applications/Wireshark.app/Contents/MacOS/tshark"]


@contextlib.contextmanager
def interrupts_held() -> Iterator[Callable[[], None]]:
    """Hold back an interrupt (Ctrl-C) while a process is started: it would be lost, and run on.

    Gives a function to call as soon as the process can be ended: from then on, an interrupt raises KeyboardInterrupt.
    """
    # interrupts come to the main thread only; a handler of another language cannot be put back
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is None:
        yield lambda: None
        return
    held: list[int] = []
    handlers = [signal.signal(signal.SIGINT, lambda number, frame: held.append(number))]

    def release() -> None:
        if handlers:
            signal.signal(signal.SIGINT, handlers.pop())
            if held:
                signal.raise_signal(signal.SIGINT)

    try:
        yield release
    finally:
        release()


@contextlib.contextmanager
def plain_file(
    path: str | os.PathLike[str], problems: list[CaptureWarning], max_decompressed: int | None = None
) -> Iterator[str]:
    """Give the path of a capture that tshark can open: itself, or a temporary copy that is not compressed.

    A problem of the compressed file is added to `problems`. What is said of the path that it gives, there or in an
    error, is at the end said of the path that was given to it.

    Raises
    ------
    CaptureError
        As `open_capture`; and as the native engine, if something is compressed that is not pcap or pcapng. tshark
        would read other formats, but `open_capture` stops at them.
    """
    capture = open_capture(path, None, max_decompressed)
    data = capture.data
    with contextlib.ExitStack() as stack:
        if isinstance(data, CaptureFile):
            plain = os.path.abspath(capture.path)  # a name that starts with a dash would be taken for an option
        else:
            if capture.problem is not None and not len(data):
                raise CaptureError(*capture.problem.args)
            read_frames(capture.path, data, Framing(capture.path))  # raises if it is no capture
            plain = str(Path(stack.enter_context(tempfile.TemporaryDirectory()), "capture"))
            data.tofile(plain)
        if capture.problem is not None:
            problems.append(capture.problem)
        before = len(problems)
        try:
            yield plain
        except CaptureError as error:
            raise CaptureError(capture.path, *error.args[1:]) from error
        except FilterError as error:
            raise FilterError(str(error).replace(plain, capture.path)) from error
        found = [CaptureWarning(capture.path, *problem.args[1:]) for problem in problems[before:]]
        # where the copy was cut, it is no news that a packet is
        problems[before:] = [problem for problem in found if not (capture.missing and CUT in problem.found)]


def read_fields(
    tshark: Tshark,
    path: str,
    fields: Sequence[str],
    problems: list[CaptureWarning],
    *,
    display_filter: str | None = None,
    preferences: Mapping[str, str] | None = None,
) -> Iterator[pd.DataFrame]:
    """Read fields of each frame as text, in chunks: a row a frame, a column a field, ``""`` where it has none.

    Where a frame has a field several times, `BETWEEN` is between its values. What is wrong with the file is added to
    `problems` at the end. The tshark process ends with the generator, however that ends.

    Raises
    ------
    FilterError
        If tshark does not understand the filter or a field.
    CaptureError
        If the file is no capture for it.
    """
    command = [tshark.path, "-n", "-r", path, "-T", "fields", "-E", "occurrence=a", "-E", f"aggregator={BETWEEN}"]
    for name, value in (preferences or {}).items():
        command += ["-o", f"{name}:{value}"]
    if display_filter:
        command += ["-Y", display_filter]
    for field in fields:
        command += ["-e", field]
    # a pipe for the errors, read too late, would stop it
    with tempfile.TemporaryFile() as errors, interrupts_held() as release:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
        output = process.stdout
        assert output is not None
        try:
            release()
            while lines := list(itertools.islice(output, _CHUNK)):  # tabs and ends of line in values are escaped
                rows = [line.decode("utf-8", "replace").rstrip("\r\n").split("\t") for line in lines]
                yield pd.DataFrame(rows, columns=list(fields), dtype=object)
            status = process.wait()
        finally:
            process.kill()  # nothing if it has ended
            process.wait()
            output.close()
        errors.seek(0)
        problem = check(path, status, errors.read())
    if problem is not None:
        problems.append(problem)


def check(path: str, status: int, said: bytes) -> CaptureWarning | None:
    """Understand what tshark said at its end: None, a fault of the file whose good part it gave, or an error."""
    lines = os.fsdecode(said).splitlines()  # as the path is decoded
    text = "\n".join(line for line in lines if line.strip() and not line.startswith(_NOISE))
    if status == 0:
        return None
    if f'"{path}"' in text:
        found = text.removeprefix("tshark: ").replace(f'The file "{path}"', "a file that").replace(f'"{path}"', "it")
        found = " ".join(found.split()).replace(". (", " (").removesuffix(".")  # more may follow
        if "isn't a capture file" in text:
            raise CaptureError(path, "a capture that tshark can read", found)
        return CaptureWarning(path, "a whole capture", found, note="the frames before it are kept")  # cut or damaged
    raise FilterError(text or f"tshark ended with status {status}")
