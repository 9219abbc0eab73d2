"""The command line: each command is a few calls that a notebook could make."""

from __future__ import annotations

import click

from toolkit._version import __version__
from toolkit.cli.look import demo, info, report
from toolkit.cli.options import CONTEXT
from toolkit.cli.pictures import figures
from toolkit.cli.publish import anonymise
from toolkit.cli.serve import app, lab
from toolkit.cli.tables import clusters, features


@click.group(context_settings=CONTEXT)
@click.version_option(__version__, prog_name="toolkit")
def main() -> None:
    """Look into packet captures as a censor could: lengths, timing and entropy by client and target.

    FILE is a pcap or pcapng capture, plain or compressed by gzip, zstd, xz or bzip2; its name plays no part.

    \b
    toolkit demo                                   what it does, on a packaged capture of obfs4
    toolkit info trace.pcap                        what is in a capture, and what is wrong with it
    toolkit clusters trace.pcap -c 10.0.0.0/24     which payload lengths belong together
    toolkit features trace.pcap -c 10.0.0.0/24 -o features.parquet
    toolkit report trace.pcap -o report.html       all of that on one page, with charts
    toolkit figures trace.pcap --venue usenix      charts for a paper, with where they come from
    toolkit anonymise trace.pcap -o public.pcap --new-key key.txt
    toolkit lab trace.pcap                         explore it by hand in JupyterLab
    toolkit app trace.pcap                         the same on a page of its own

    Exit codes: 0, 1 if a capture cannot be read or a result cannot be written, 2 for wrong usage.
    """


for command in (demo, info, report, clusters, features, figures, anonymise, lab, app):
    main.add_command(command)
