"""Measure, print the table, write it to ``benchmarks/out/``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import parts, report, traces

_OUT = Path(__file__).parent / "out"
_NOTE = (
    "CPU seconds (user and system), medians, each tool in its turn; captures made by `benchmarks/traces.py`. "
    "Ratios compare within this run."
)


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the speed and memory of the toolkit against other tools. Use a quiet machine.",
        epilog=f"The captures (up to 3 GB) are kept in {traces.folder()}; TOOLKIT_BENCH_DIR names another folder.",
    )
    parser.add_argument("--quick", action="store_true", help="fewer packets and repeats: a trial, no verdict")
    parser.add_argument("--only", action="append", choices=parts.PARTS, help="one part; may be given several times")
    parser.add_argument(
        "--nfstream-python",
        metavar="PATH",
        default=os.environ.get("TOOLKIT_NFSTREAM_PYTHON"),
        help="interpreter of an environment of its own with nfstream: python3 -m venv DIR && DIR/bin/pip install "
        "nfstream==6.6.0, then DIR/bin/python (or set TOOLKIT_NFSTREAM_PYTHON); without it that row is skipped",
    )
    options = parser.parse_args()
    nfstream = ""
    if options.nfstream_python:
        command = [options.nfstream_python, str(Path(__file__).with_name("nfstream_child.py"))]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            parser.error(f"{options.nfstream_python} cannot import nfstream: {done.stderr.strip().splitlines()[-1:]}")
        nfstream = f"NFStream {done.stdout.strip()}"
    settings = parts.Settings(options.quick, options.nfstream_python, _OUT)
    about = report.machine(nfstream)
    rows: list[report.Row] = []
    started = time.monotonic()
    for name in options.only or parts.PARTS:
        for row in parts.PARTS[name](settings):
            rows.append(row)
            print(f"{time.monotonic() - started:6.0f} s  {'  '.join(filter(None, row.cells()))}", file=sys.stderr)
    note = _NOTE + (" QUICK: small captures, few repeats; the targets are for the full run." if options.quick else "")
    report.write(_OUT, rows, about, note)
    print(f"\n{report.markdown(rows)}\n")
    for key, value in about.items():
        print(f"{key}: {value}")
    print(f"written to {_OUT}")


if __name__ == "__main__":
    main()
