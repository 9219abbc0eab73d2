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
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

GUIDED = importlib.util.find_spec("atheris") is not None


def libfuzzer(options: list[str]) -> None:
    """Run libFuzzer with its own options; it ends the process."""
    import atheris

    with atheris.instrument_imports(include=["toolkit.capture", "toolkit.storage", "toolkit.entropy", "toolkit.trace"]):
        import fuzzing

    folder = fuzzing.temporary_folder()
    examine = fuzzing.Examiner(Path(folder.name), slow=True)

    def change(data: bytes, most: int, number: int) -> bytes:
        draw = random.Random(number)

        def edit(piece: bytes) -> bytes:
            if draw.random() < 0.5:
                return fuzzing.edit_with(draw)(piece)
            return bytes(atheris.Mutate(piece, len(piece) + 16))

        with contextlib.suppress(ValueError):
            data = fuzzing.mutate(data, draw, edit)
        return data[:most]

    # to merge, libFuzzer starts its program again and again
    again = Path(folder.name, "again")
    again.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{__file__}" --libfuzzer "$@"\n')
    again.chmod(0o700)
    atheris.Setup([str(again), *options], examine, custom_mutator=change)
    atheris.Fuzz()


def guided(seconds: int, keep: Path, seed: int) -> None:
    """Let libFuzzer look for inputs that reach new code; it ends the process."""
    import fuzzing

    corpus = keep / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for i, data in enumerate(fuzzing.seeds()):
        (corpus / f"seed-{i:03}").write_bytes(data)
    options = [f"-max_total_time={seconds}", f"-seed={seed}", "-max_len=16384", "-timeout=20", "-rss_limit_mb=3000"]
    options += [f"-artifact_prefix={keep}/", "-print_final_stats=1", str(corpus)]
    os.execv(sys.executable, [sys.executable, __file__, "--libfuzzer", *options])  # nothing is imported there yet


def checked(seconds: float, keep: Path, seed: int) -> None:
    """Read what the guided run kept, then captures changed at random."""
    import fuzzing
    import numba
    import numpy as np
    from corpus import changed_captures

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
        compile_all = fuzzing.Examiner(Path(folder), growth=1 << 30)  # the compiler takes its time, and memory
        for data in fuzzing.captures():
            compile_all(data, timed=False)
        examine = fuzzing.Examiner(Path(folder))

        def read(data: bytes) -> None:
            started = time.monotonic()
            (keep / "running").write_bytes(data)  # if it ends the process, here is why
            examine(data)
            examine.slowest = max(examine.slowest, time.monotonic() - started)

        for data in fuzzing.seeds():
            read(data)
        before = examine.inputs
        for path in sorted((keep / "corpus").glob("*")):
            read(path.read_bytes())
        replayed = examine.inputs - before
        stop = time.monotonic() + seconds  # compiling does not count
        for data, changed in zip(fuzzing.mutants(draw), changed_captures(1 << 62, seed), strict=True):
            for one in (data, changed, fuzzing.random_frames(draw)):
                read(one)
            if time.monotonic() > stop:
                break
        (keep / "running").unlink()
        sys.stdout.write(
            f"checked: {examine.inputs} inputs ({replayed} of the guided run), {examine.traces} of them captures, "
            f"{examine.packets} packets, the slowest {examine.slowest:.2f} s\n"
        )


def minimise(keep: Path, target: Path) -> None:
    """Keep few inputs that reach all that the corpus of a run reaches, and pack them into a file."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--libfuzzer", "-merge=1", folder, str(keep / "corpus")]
        subprocess.run(command, env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, check=True)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for path in sorted(Path(folder).iterdir()):
                archive.writestr(zipfile.ZipInfo(path.name[:12]), path.read_bytes(), zipfile.ZIP_DEFLATED)


def run(part: str, seconds: int, keep: Path, seed: int) -> None:
    """Run a part in a process of its own, and say what it did."""
    environment = {
        "guided": {"NUMBA_DISABLE_JIT": "1"},
        "checked": {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(keep / "compiled")},
    }[part]
    log = keep / f"{part}.log"
    command = [sys.executable, __file__, "--inside", part, "--seconds", str(seconds), "--keep", str(keep)]
    with log.open("wb") as file:
        done = subprocess.run(
            [*command, "--seed", str(seed)],
            env=os.environ | environment,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        )
    said = log.read_text(errors="replace")
    count = re.search(r"number_of_executed_units: (\d+)", said)
    if count:
        reached = re.findall(r"cov: (\d+)", said)
        said += f"guided: {count[1]} inputs, which reach {reached[-1] if reached else 0} places in the code\n"
    if done.returncode:
        sys.stdout.write(said[-8_000:])
        sys.exit(f"{part} failed with {done.returncode} (seed {seed}): the input is in {keep}")
    sys.stdout.write(said[said.rindex(part + ":") :])
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=60, help="of both parts together, or of one")
    parser.add_argument("--only", choices=["guided", "checked"], help="one part")
    parser.add_argument("--seed", type=int, default=1, help="of the random changes; 0 for another each time")
    parser.add_argument("--keep", type=Path, help="folder for what is found (a temporary one if all goes well)")
    parser.add_argument("--minimise", type=Path, help="pack what the corpus in --keep reaches into this file")
    parser.add_argument("--inside", choices=["guided", "checked"], help=argparse.SUPPRESS)
    if sys.argv[1:2] == ["--libfuzzer"]:
        return libfuzzer(sys.argv[2:])
    options = parser.parse_args()
    seed = options.seed or int.from_bytes(os.urandom(4), "little")
    if options.minimise:
        return minimise(options.keep, options.minimise)
    if options.inside:
        return (guided if options.inside == "guided" else checked)(options.seconds, options.keep, seed)
    keep = options.keep or Path(tempfile.mkdtemp(prefix="fuzz-"))
    keep.mkdir(parents=True, exist_ok=True)
    parts = [options.only] if options.only else ["guided", "checked"]
    if not GUIDED and "guided" in parts:
        sys.stdout.write("guided: left out, atheris is not installed (it is made for Linux on x86-64)\n")
        parts.remove("guided")
    for part in parts:
        run(part, max(options.seconds // len(parts), 1), keep, seed)
    if not options.keep:
        shutil.rmtree(keep)


if __name__ == "__main__":
    main()
