"""Fuzz the reader: `python tests/fuzz.py --seconds 60`, or `make fuzz` for hours. It says how many inputs it read.

Two ways, each in a process of its own, one after the other:

- *guided*: libFuzzer by way of atheris, led by which code an input reaches. The kernels are not compiled
  (``NUMBA_DISABLE_JIT``), so that it sees into them. What reaches new code is kept and changed further.
- *checked*: the kernels compiled, with a check of each array index (``NUMBA_BOUNDSCHECK``): first on all that the
  guided run kept, then on captures changed at random.

A failure names the input, which is kept in ``--keep``.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

GUIDED = importlib.util.find_spec("atheris") is not None


def guided(seconds: int, keep: Path, seed: int) -> None:
    """Run libFuzzer; it ends the process."""
    import atheris

    with atheris.instrument_imports(include=["toolkit.capture", "toolkit.storage", "toolkit.entropy", "toolkit.trace"]):
        import fuzzing

        import toolkit

    corpus = keep / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for i, data in enumerate(fuzzing.seeds()):
        (corpus / f"seed-{i:03}").write_bytes(data)
    folder = fuzzing.temporary_folder()
    examine = fuzzing.Examiner(Path(folder.name), slow=True)
    assert toolkit.__version__

    def change(data: bytes, most: int, number: int) -> bytes:
        draw = random.Random(number)

        def edit(piece: bytes) -> bytes:
            if draw.random() < 0.5:
                return fuzzing.edit_with(draw)(piece)
            return bytes(atheris.Mutate(piece, len(piece) + 16))

        with contextlib.suppress(ValueError):
            data = fuzzing.mutate(data, draw, edit)
        return data[:most]

    options = [f"-max_total_time={seconds}", f"-seed={seed}", "-max_len=16384", "-timeout=20", "-rss_limit_mb=3000"]
    options += [f"-artifact_prefix={keep}/", "-print_final_stats=1", "-close_fd_mask=0", str(corpus)]
    atheris.Setup([sys.argv[0], *options], examine, custom_mutator=change)
    atheris.Fuzz()


def checked(seconds: float, keep: Path, seed: int) -> None:
    """Read what the guided run kept, then captures changed at random."""
    import fuzzing
    import numba
    import numpy as np

    @numba.njit
    def beyond(array: np.ndarray, place: int) -> int:
        return array[np.uint64(place)]

    try:
        beyond(np.zeros(3, np.uint8), 3)
    except IndexError:
        pass
    else:
        sys.exit("array bounds are not checked")
    draw = random.Random(seed)
    with fuzzing.temporary_folder() as folder:
        examine = fuzzing.Examiner(Path(folder))
        for data in fuzzing.captures():  # compiles all kernels
            examine(data, timed=False)

        def run(data: bytes) -> None:
            started = time.monotonic()
            (keep / "running").write_bytes(data)  # if it ends the process, here is why
            examine(data)
            examine.slowest = max(examine.slowest, time.monotonic() - started)

        for path in sorted((keep / "corpus").glob("*")):
            run(path.read_bytes())
        replayed = examine.inputs - len(fuzzing.captures())
        stop = time.monotonic() + seconds  # compiling does not count
        for data in fuzzing.mutants(draw):
            run(data)
            run(fuzzing.random_frames(draw))
            if time.monotonic() > stop:
                break
        (keep / "running").unlink()
        sys.stdout.write(
            f"checked: {examine.inputs} inputs ({replayed} of the guided run), {examine.traces} of them captures, "
            f"{examine.packets} packets, the slowest {examine.slowest:.2f} s\n"
        )


def minimise(keep: Path, target: Path) -> None:
    """Keep few inputs that reach all that the corpus of a run reaches, and pack them into a file."""
    if not list((keep / "corpus").glob("*")):
        sys.exit(f"no corpus in {keep}")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--merge", folder, "--keep", str(keep)]
        subprocess.run(command, env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, check=True)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for path in sorted(Path(folder).iterdir()):
                archive.writestr(zipfile.ZipInfo(path.name[:12]), path.read_bytes(), zipfile.ZIP_DEFLATED)


def merge(folder: str, keep: Path) -> None:
    """Let libFuzzer choose from the corpus of a run."""
    import atheris

    with atheris.instrument_imports(include=["toolkit.capture", "toolkit.storage", "toolkit.entropy", "toolkit.trace"]):
        import fuzzing

    temporary = fuzzing.temporary_folder()
    examine = fuzzing.Examiner(Path(temporary.name), slow=True)
    atheris.Setup([sys.argv[0], "-merge=1", folder, str(keep / "corpus")], examine)
    atheris.Fuzz()


def _part(name: str, seconds: float, keep: Path, seed: int, **environment: str) -> int:
    command = [sys.executable, __file__, "--part", name, "--seconds", str(int(seconds)), "--keep", str(keep)]
    done = subprocess.run([*command, "--seed", str(seed)], env=os.environ | environment, check=False)
    return done.returncode


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1, help="of the random changes; 0 for another each time")
    parser.add_argument("--keep", type=Path, help="folder for what is found (a temporary one if all goes well)")
    parser.add_argument("--minimise", type=Path, help="pack what the corpus in --keep reaches into this file")
    parser.add_argument("--part", choices=["guided", "checked"])
    parser.add_argument("--merge")
    options = parser.parse_args()
    seed = options.seed or int.from_bytes(os.urandom(4), "little")
    if options.merge:
        return merge(options.merge, options.keep)
    if options.minimise:
        return minimise(options.keep, options.minimise)
    if options.part:
        run = guided if options.part == "guided" else checked
        return run(options.seconds, options.keep, seed)
    keep = options.keep or Path(tempfile.mkdtemp(prefix="fuzz-"))
    keep.mkdir(parents=True, exist_ok=True)
    half = options.seconds / 2 if GUIDED else options.seconds
    if GUIDED:
        failed = _part("guided", half, keep, seed, NUMBA_DISABLE_JIT="1")
    else:
        sys.stdout.write("guided: left out, atheris is not installed (there is none for this Python or system)\n")
        failed = 0
    sys.stdout.flush()
    cache = keep / "compiled"
    failed = failed or _part("checked", half, keep, seed, NUMBA_BOUNDSCHECK="1", NUMBA_CACHE_DIR=str(cache))
    if failed:
        sys.exit(f"failed with {failed} (seed {seed}): the input is in {keep}")
    if not options.keep:
        shutil.rmtree(keep)


if __name__ == "__main__":
    main()
