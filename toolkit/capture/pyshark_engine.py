"""pyshark as a reader: its packets, taken one by one into the fields that `toolkit.capture.wireshark` makes columns of.

pyshark drives an asyncio event loop. A notebook runs one already, and a thread cannot run two, so pyshark gets a
thread with a loop of its own. Given a loop, it neither looks for one, which fails from Python 3.12 on where there is
none, nor sets a child watcher, which Python 3.14 no longer has.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import pandas as pd
import pyshark
from pyshark.capture.capture import TSharkCrashException

from toolkit.capture.tshark import BETWEEN, Tshark, check, interrupts_held
from toolkit.capture.wireshark import FIELDS, PREFERENCES, Add
from toolkit.errors import CaptureWarning

_CHUNK = 4_096  # packets
_LAYERS = "frame ip ipv6 ah mipv6 hip tcp udp"  # all are dissected, these are written out and parsed


@cache
def _wanted(layer: str) -> dict[str, tuple[int, str]]:
    """Give for the names that pyshark gives to `FIELDS` in a layer their places and full names."""
    short = [name.replace(f"{layer}.", "").replace(".", "_") for name in FIELDS]
    return {name: (place, full) for place, (name, full) in enumerate(zip(short, FIELDS, strict=True))}


def read_by_pyshark(tshark: Tshark, path: str, problems: list[CaptureWarning], add: Add) -> None:
    """Hand over `FIELDS` as pyshark reads them, in chunks; no packet is kept.

    tshark and the thread have ended when this returns, also by an error or an interrupt.
    """
    with _child_watcher_for_threads(), interrupts_held() as release:
        loop = asyncio.new_event_loop()
        task = loop.create_task(_read(loop, tshark, path, add))
        # `wait` raises nothing, so the thread ends quietly
        thread = threading.Thread(target=loop.run_until_complete, args=(asyncio.wait([task]),), name="pyshark")
        thread.start()
        try:
            release()
            while not task.done():  # an interrupt in `thread.join` has Python 3.11 take the thread for ended
                time.sleep(0.02)
        finally:
            loop.call_soon_threadsafe(task.cancel)  # nothing if it is done
            thread.join()
            loop.close()
    problem = check(path, *task.result())
    if problem is not None:
        problems.append(problem)


async def _read(loop: asyncio.AbstractEventLoop, tshark: Tshark, path: str, add: Add) -> tuple[int, bytes]:
    """Read the capture; give the status that tshark ended with, and what it said on its error stream."""
    rows: list[list[str]] = []
    said: list[bytes] = []

    async def listen(stream: asyncio.StreamReader) -> None:
        said.append(await stream.read())

    def hand_over() -> None:
        add(pd.DataFrame(rows, columns=list(FIELDS), dtype=object))
        rows.clear()

    def take(packet: Any) -> None:
        rows.append(_fields_of(packet))
        if len(rows) == _CHUNK:
            hand_over()

    capture = pyshark.FileCapture(
        path,
        keep_packets=False,
        eventloop=loop,
        tshark_path=tshark.path,
        override_prefs=PREFERENCES,
        custom_parameters=["-J", _LAYERS],
    )
    capture._handle_process_stderr_forever = listen  # its own keeps the last line only
    # Not closed by pyshark, which kills tshark before it can say how it ended, and by that confuses asyncio.
    processes = capture._running_processes
    crashed = False
    try:
        await capture.packets_from_tshark(take, close_tshark=False)
    except TSharkCrashException:  # it ended, with an error, before pyshark looked
        crashed = True
    except BaseException:
        for process in processes:
            if process.returncode is None:
                os.kill(process.pid, signal.SIGTERM)
        raise
    finally:
        for process in processes:
            await process.stdout.read()  # asyncio waits until it is empty, too
        status = max([await process.wait() for process in processes], default=int(crashed))
        processes.clear()  # or it would be closed when the capture is collected, after its loop
        await asyncio.gather(*capture._stderr_handling_tasks)
    hand_over()
    return status, b"".join(said)


def _fields_of(packet: Any) -> list[str]:
    """Take the fields out of a pyshark packet, of each the values in the first layer of its protocol."""
    row = [""] * len(FIELDS)
    met: set[str] = set()
    for layer in (packet.frame_info, *packet.layers):
        if layer.layer_name in met:
            continue  # of a packet inside: what the outer one lacks is not to be taken from it
        met.add(layer.layer_name)
        wanted = _wanted(layer.layer_name)
        for name in layer.field_names:
            place, full = wanted.get(name, (-1, ""))
            if place >= 0 and not row[place]:
                found = layer.get_field(full).all_fields
                row[place] = BETWEEN.join(field.raw_value if name == "payload" else field.show for field in found)
    return row


@contextlib.contextmanager
def _child_watcher_for_threads() -> Iterator[None]:
    """See to it that asyncio learns in a thread of the end of a process.

    pyshark, used by hand before, has set a watcher that learns of it only while the loop of the main thread runs.
    """
    if sys.platform == "win32" or sys.version_info >= (3, 14):  # there, asyncio does by itself
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        before = asyncio.get_child_watcher()
        deaf = isinstance(before, asyncio.SafeChildWatcher | asyncio.FastChildWatcher)
        if deaf:
            asyncio.set_child_watcher(asyncio.ThreadedChildWatcher())
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            if deaf:
                asyncio.set_child_watcher(before)
