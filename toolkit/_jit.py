"""numba's compiler, with a compilation cache that also works where the package is installed read-only."""

from __future__ import annotations

import getpass
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeAlias, TypeVar

import numba
import numpy as np

P = ParamSpec("P")
R = TypeVar("R")

Int: TypeAlias = Any
"""An integer in a kernel: a machine word there, which mypy takes for an `int` or for one of numpy's by turns."""


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` at its first call and keep the machine code on disk.

    numba puts its cache beside the source, else into the user's cache folder (`NUMBA_CACHE_DIR` overrides both).
    Where it may write to neither it raises; we then give it a private temporary folder, since a second of compilation
    at each start is no reason not to run. Without even that, nothing is kept.

    numba renews a cached kernel when the *file* of that kernel changes, not when a kernel it calls from another file
    does. So kernels call only kernels of their own module.
    """
    try:
        return _compile(function, cache=True)
    except RuntimeError:  # "no locator available": neither place can be written
        folder = _private_folder()
        if folder is None:
            return _compile(function, cache=False)
        config: Any = numba.config  # its settings are not declared
        before = config.CACHE_DIR
        config.CACHE_DIR = str(folder)
        try:
            return _compile(function, cache=True)
        finally:
            config.CACHE_DIR = before


def salt() -> np.uint64:
    """Give a random number to mix into the hashes of a table, so that nobody can write a capture whose hashes collide.

    Where in a table something lies must not show in results.
    """
    return np.uint64(int.from_bytes(os.urandom(8), "little"))


def _compile(function: Callable[P, R], *, cache: bool) -> Callable[P, R]:
    compiled: Callable[P, R] = numba.njit(cache=cache, nogil=True)(function)
    return compiled


def _private_folder() -> Path | None:
    """Give a folder under the temporary one that only this user can write: cached code is run as it is found.

    None where there is no such folder, or someone else made one of its name.
    """
    user = str(os.getuid()) if hasattr(os, "getuid") else getpass.getuser()
    try:
        folder = Path(tempfile.gettempdir()) / f"traffic-toolkit-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    if not hasattr(os, "getuid"):
        return folder
    ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
    return folder if ours and os.access(folder, os.W_OK) else None
