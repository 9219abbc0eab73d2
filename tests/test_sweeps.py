"""The sweep over window sizes, against a loop and against the windows themselves (bandwidths: test_lengths.py)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import reference_charts as charts
from hypothesis import given
from hypothesis import strategies as st
from making import SECOND, from_capture, from_columns, has_client, quick
from reference import Packet
from strategies import networks, packets

import toolkit
from toolkit import NoClientError, client_features, client_windows, window_sweep
from toolkit.sweeps import PACKET_WINDOWS, TIME_WINDOWS

CLIENTS = "10.77.0.0/24"
WIDTHS = st.lists(st.sampled_from([1_000, 1_000_000, SECOND - 1, SECOND, 60 * SECOND, 2**62]), min_size=1, max_size=3)
SIZES = st.lists(st.sampled_from([1, 2, 3, 5, 40, 10**9, 2**70]), min_size=1, max_size=4)


@given(packets(), networks(), WIDTHS, SIZES, st.sampled_from(["drop", "keep"]))
@quick
def test_window_sweep_is_the_reference(
    given_packets: list[Packet], clients: list[str], widths: list[int], sizes: list[int], remainder: Any
) -> None:
    trace = from_capture(given_packets)
    options: dict[str, Any] = {
        "time_windows": [pd.Timedelta(width, unit="ns") for width in widths],
        "packet_windows": sizes,
        "remainder": remainder,
    }
    if given_packets and not has_client(given_packets, clients):
        with pytest.raises(NoClientError):
            window_sweep(trace, clients, **options)
        return
    found = window_sweep(trace, clients, **options)
    cells = [(width, size) for width in sorted(set(widths)) for size in sorted(set(sizes))]
    assert found.index.tolist() == [(width / 1e9, size) for width, size in cells]
    for row, (width, size) in zip(found.itertuples(), cells, strict=True):
        windows, members, of = charts.kept(given_packets, clients, width, size, remainder=remainder == "keep")
        assert (row.windows, row.packets) == (windows, members)
        assert row.kept == (members / of if of else 0)
        cut = client_windows(trace, clients, size, time_window=pd.Timedelta(width, unit="ns"), remainder=remainder)
        assert len(cut) == windows
        assert int((cut.stop - cut.start).sum()) == members


def test_window_sweep_counts_the_rows_of_the_feature_table() -> None:
    trace = toolkit.load_example("mixed_obfs4")
    found = window_sweep(trace, CLIENTS)
    assert found.shape == (len(TIME_WINDOWS) * len(PACKET_WINDOWS), 3)
    assert found.index.names == ["time_window", "packet_window"]
    assert found.columns.tolist() == ["windows", "packets", "kept"]
    assert found.index.levels[0].tolist() == [1, 5, 15, 60, 300]
    for width, size in (("1s", 5), ("15s", 50), ("300s", 200)):
        table = client_features(trace, CLIENTS, time_window=width, packet_window=size, features="psh")
        row = found.loc[(float(width[:-1]), size)]
        assert row["windows"] == len(table) > 0
        assert row["packets"] == len(table) * size
        assert 0 < row["kept"] <= 1


def test_window_sweep_that_keeps_the_remainder() -> None:
    trace = toolkit.load_example("obfs4")
    found, dropped = window_sweep(trace, CLIENTS, remainder="keep"), window_sweep(trace, CLIENTS)
    assert (found["kept"] == 1).all()
    assert (found["windows"] > dropped["windows"]).all()
    pd.testing.assert_frame_equal(window_sweep(trace, CLIENTS, remainder="drop"), dropped)
    for wrong in ("both", True):
        with pytest.raises(ValueError, match=f"`remainder` must be one of 'drop', 'keep', got {wrong!r}"):
            window_sweep(trace, CLIENTS, remainder=wrong)  # type: ignore[arg-type]


def test_window_sweep_takes_any_order_and_form() -> None:
    trace = toolkit.load_example("obfs4")
    expected = window_sweep(trace, CLIENTS, time_windows=["10s", "60s"], packet_windows=[5, 50])
    widths = [np.timedelta64(1, "m"), pd.Timedelta("10s"), "60s", "10000ms"]
    other = window_sweep(trace, iter([CLIENTS]), time_windows=widths, packet_windows=np.array([50, 5, 5]))  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(other, expected)


def test_windows_of_one_packet_keep_all() -> None:
    trace = toolkit.load_example("obfs4")
    found = window_sweep(trace, CLIENTS, packet_windows=[1])
    assert (found["kept"] == 1).all()
    assert (found["windows"] == len(trace)).all()
    # strangers' packets are no loss: they are of no pair
    strangers = from_columns(["10.0.0.1", "192.0.2.1"], time=range(4), src=[0, 1, 1, 1], dst=1)
    row = window_sweep(strangers, "10.0.0.1", time_windows=["1s"], packet_windows=[1]).iloc[0]
    assert row.tolist() == [1, 1, 1]


def test_window_sweep_of_nothing() -> None:
    for empty in (toolkit.load_example("obfs4")[:0], from_capture([])):
        found = window_sweep(empty, CLIENTS)
        assert len(found) == 30
        assert (found == 0).all(axis=None)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"time_windows": []}, "`time_windows` and `packet_windows` must hold at least one value each, got none"),
        ({"packet_windows": []}, "must hold at least one value each, got none"),
        ({"time_windows": ["1s", "0s"]}, "more than 0 s, got '0s'"),
        ({"time_windows": [60]}, "must have a unit"),
        ({"time_windows": "60s"}, "must have a unit"),
        ({"packet_windows": [5, 0]}, "`packet_windows` must be an int of at least 1, got 0"),
        ({"packet_windows": [True]}, "`packet_windows` must be an int of at least 1, got True"),
        ({"packet_windows": [2.0]}, "`packet_windows` must be an int of at least 1, got 2.0"),
    ],
)
def test_wrong_windows(options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        window_sweep(toolkit.load_example("obfs4"), CLIENTS, **options)


def test_clients_that_are_not_there() -> None:
    with pytest.raises(NoClientError, match=r"no packet has a client in 192.0.2.0/24; the busiest hosts are 10.77"):
        window_sweep(toolkit.load_example("obfs4"), "192.0.2.0/24")
