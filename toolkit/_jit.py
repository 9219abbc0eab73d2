"""numba's compiler, with a compilation cache that also works where the package is installed read-only."""

from __future__ import annotations

import getpass
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")


def kernel(function: Callable[P, R]) -> Callable[P, R]:
    """Compile `function` at its first call and keep the machine code on disk.

    numba puts its cache beside the source, else into the user's cache folder (`NUMBA_CACHE_DIR` overrides both).
    Where it may write to neither it raises; we then give it a private temporary folder, since a second of compilation
    at each start is no reason not to run.

    numba renews a cached kernel when the *file* of that kernel changes, not when a kernel it calls from another file
    does. So kernels call only kernels of their own module.
    """
    try:
        return numba.njit(cache=True, nogil=True)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # "no locator available": neither place can be written
        before = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = str(_private_folder())
        try:
            return numba.njit(cache=True, nogil=True)(function)  # type: ignore[no-any-return]
        finally:
            numba.config.CACHE_DIR = before


def _private_folder() -> Path:
    """Give a folder under the temporary one that only this user can write: cached code is run as it is found."""
    user = str(os.getuid()) if hasattr(os, "getuid") else getpass.getuser()
    folder = Path(tempfile.gettempdir()) / f"traffic-toolkit-{user}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if hasattr(os, "getuid") and (
        not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077
    ):
        return Path(tempfile.mkdtemp(prefix="traffic-toolkit-"))
    return folder
