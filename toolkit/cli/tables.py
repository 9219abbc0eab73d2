"""The commands that give tables: length clusters, window features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from toolkit._files import write_table
from toolkit.cli.look import show_clusters
from toolkit.cli.options import (
    CONTEXT,
    FILE,
    OUTPUT,
    PACKETS,
    TIME_WINDOW,
    Load,
    checked,
    client_option,
    errors,
    parse_bandwidth,
    parse_sets,
    reading,
)
from toolkit.features import client_features
from toolkit.hosts import Network
from toolkit.lengths import cluster_lengths
from toolkit.sweeps import suggest_bandwidth


@click.command(context_settings=CONTEXT)
@FILE
@client_option(required=False)
@click.option(
    "-b", "--bandwidth", metavar="BYTES", callback=checked(parse_bandwidth), default="3", show_default=True,
    help="Radius of the mean shift; 'auto' takes the middle of the longest range with the same number of clusters.",
)  # fmt: skip
@click.option(
    "--protocol",
    type=click.Choice(["tcp", "udp"]),
    default="tcp",
    show_default=True,
    help="TCP payload lengths, or IP lengths of UDP packets.",
)
@click.option("--tls-only", is_flag=True, help="Only payloads that start a TLS record.")
@click.option(
    "--min-length", type=click.IntRange(min=0), default=1, show_default=True, help="Leave out lengths of fewer bytes."
)
@click.option(
    "--max-length",
    type=click.IntRange(min=0),
    default=1300,
    show_default=True,
    help="Leave out lengths of more bytes: full segments would be the first cluster of any bulk transfer.",
)
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="Clusters to print.")
@OUTPUT
@reading
def clusters(
    file: str, clients: list[Network], bandwidth: float | str, protocol: Any, tls_only: bool, min_length: int,
    max_length: int, top: int, output: Path | None, load: Load,
) -> None:  # fmt: skip
    """Cluster payload lengths by mean shift and print the largest clusters.

    \b
    toolkit clusters trace.pcap --client 10.0.0.0/24 --bandwidth 5
    toolkit clusters trace.pcap --protocol udp -o clusters.csv
    """
    if min_length > max_length:
        raise click.UsageError(f"--min-length {min_length} is above --max-length {max_length}")
    if tls_only and protocol == "udp":
        raise click.UsageError("--tls-only goes with --protocol tcp")
    with errors():
        trace = load(file)
        if clients:
            trace = trace.select(clients=clients)
        choice: dict[str, Any] = {
            "protocol": protocol, "tls_only": tls_only, "min_length": min_length, "max_length": max_length,
        }  # fmt: skip
        width = suggest_bandwidth(trace, **choice) if bandwidth == "auto" else float(bandwidth)
        found = cluster_lengths(trace, bandwidth=width, **choice)
        show_clusters(found, top)
        if output is not None:
            write_table(found.to_frame(), output)
            click.echo(f"wrote {output}")


@click.command(context_settings=CONTEXT)
@FILE
@client_option(required=True)
@TIME_WINDOW
@PACKETS
@click.option(
    "-f",
    "--features",
    metavar="SETS",
    callback=checked(parse_sets),
    help="Sets, with commas between: entropy, interval, interval_bins, tcp_len, tcp_len_bins, psh. All if not given.",
)
@click.option(
    "--remainder",
    type=click.Choice(["drop", "keep"]),
    default="drop",
    show_default=True,
    help="What to do with the packets of a pair that fill no window.",
)
@OUTPUT
@reading
def features(
    file: str, clients: list[Network], time_window: str, packets: int, features: list[str] | None, remainder: Any,
    output: Path | None, load: Load,
) -> None:  # fmt: skip
    """Compute the features of each window of packets, by client and target.

    Without an output file the table goes to standard output as CSV.

    \b
    toolkit features trace.pcap -c 10.0.0.0/24 --time-window 60s --packets 50 -o features.parquet
    toolkit features trace.pcap -c 10.0.0.5 --features entropy,psh > features.csv
    """
    with errors():
        trace = load(file)
        table = client_features(
            trace,
            clients,
            time_window=time_window,
            packet_window=packets,
            features=features,
            remainder=remainder,
        )
        if output is None:
            click.echo(table.to_csv(), nl=False)
            return
        write_table(table, output)
        click.echo(f"wrote {output}: {len(table):,} windows, {table.shape[1]} features")
