"""A first look at a trace: everything that `plot_trace_overview` and the report show, computed once."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from toolkit.connections import suggest_clients
from toolkit.entropy import EntropyCounts, entropy_counts
from toolkit.features import client_features
from toolkit.hosts import Networks, parse_networks
from toolkit.lengths import LengthClusters, cluster_lengths
from toolkit.timing import client_pairs, direction_timeline
from toolkit.trace import Trace


@dataclass(frozen=True, eq=False)
class Overview:
    """What is in a trace at a first look. Made by `overview`.

    Attributes
    ----------
    trace
        All of it; what follows is of the packets of the clients only. Times and time windows count from its first
        packet, whoever sent that.
    clients
        Networks of the clients.
    guessed
        Whether the clients were not given, but taken to be the hosts that open connections.
    timeline, clusters, entropy, pairs
        From `toolkit.direction_timeline`, `toolkit.cluster_lengths`, `toolkit.entropy_counts`, `toolkit.client_pairs`.
    features
        From `toolkit.client_features` with `time_window` and `packet_window`.
    """

    trace: Trace
    clients: tuple[str, ...]
    guessed: bool
    timeline: pd.DataFrame
    clusters: LengthClusters
    entropy: EntropyCounts
    pairs: pd.DataFrame
    features: pd.DataFrame
    time_window: str
    packet_window: int


def overview(
    trace: Trace,
    clients: Networks | None = None,
    *,
    bandwidth: float = 3.0,
    time_window: str = "60s",
    packet_window: int = 50,
) -> Overview:
    """Compute what a first look at a trace needs.

    Parameters
    ----------
    trace
        Packets.
    clients
        Addresses or networks of the clients. If None, the hosts that open connections (`toolkit.suggest_clients`):
        a guess, which the overview says.
    bandwidth
        Of the length clusters, in bytes.
    time_window, packet_window
        Of the features.

    Returns
    -------
    Overview
        Of the packets of the clients.

    Raises
    ------
    ValueError
        As `toolkit.client_features` and `toolkit.cluster_lengths`.
    NoClientError
        If no client network holds a host of the trace.

    Examples
    --------
    >>> import toolkit
    >>> found = overview(toolkit.load_example("obfs4"))
    >>> found.clients, found.guessed
    (('10.77.0.11', '10.77.0.12', '10.77.0.13'), True)
    >>> len(found.features)
    22
    """
    guessed = clients is None
    hosts = suggest_clients(trace) or trace.hosts if clients is None else None
    if clients is None and not hosts:  # a trace without packets
        networks = parse_networks("0.0.0.0/0")
    else:
        networks = parse_networks(clients if clients is not None else hosts or ())
    theirs = trace.select(clients=networks)
    return Overview(
        trace,
        tuple(str(network.network_address if network.num_addresses == 1 else network) for network in networks),
        guessed,
        direction_timeline(trace, networks),
        cluster_lengths(theirs, bandwidth=bandwidth),
        entropy_counts(theirs),
        client_pairs(trace, networks),
        client_features(trace, networks, time_window=time_window, packet_window=packet_window),
        time_window,
        packet_window,
    )
