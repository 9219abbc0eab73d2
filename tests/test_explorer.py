"""The explorer in plain Python: choices, results, code, controls, what it writes. The page itself: tests/browser."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import traitlets as t
from PIL import Image

import toolkit
from toolkit.widgets import controls, view
from toolkit.widgets.compute import PAGE, Computer
from toolkit.widgets.controls import host_options
from toolkit.widgets.explore import explore
from toolkit.widgets.pictures import Pictures
from toolkit.widgets.result import NothingMatchesError
from toolkit.widgets.state import NAMES, TABS, Choices, State, networks_of
from toolkit.widgets.view import Explorer
from toolkit.widgets.work import CancelledError, Worker

remembering = sys.modules[explore.__module__]  # the package has the function under the name of its module
CLIENTS = ("10.77.0.11", "10.77.0.12")


@pytest.fixture(scope="module")
def traces() -> dict[str, toolkit.Trace]:
    return {name: toolkit.load_example(name) for name in ("obfs4", "https")}


@pytest.fixture
def explorer(traces: dict[str, toolkit.Trace], monkeypatch: pytest.MonkeyPatch) -> Explorer:
    monkeypatch.setattr(remembering, "_remembered", {})
    return explore(traces, clients=CLIENTS)


def said(explorer: Explorer) -> str:
    """Give what the line of the view and the line below it say, and whether either is a complaint."""
    lines = (explorer.status, explorer.said)
    return " ".join(f"WRONG: {line.text}" if line.wrong else line.text for line in lines)


def is_stale(explorer: Explorer) -> bool:
    parts = {"toolkit-stale" in part._dom_classes for part in (explorer.main, explorer.table)}
    assert len(parts) == 1
    return parts.pop()


# Choices


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("label", "meek", "no capture 'meek': there are obfs4, https"),
        ("compared", ("obfs4", "meek"), "no capture 'meek'"),
        ("clients", ("10.0.0.1/8",), "has host bits set"),
        ("targets", ("here",), "must be an address or a network"),
        ("protocol", "icmp", "the protocol must be one of all, data, tcp, tls, udp, got 'icmp'"),
        ("start", -1.0, "a time must be in seconds since the first packet, 0 or more, got -1"),
        ("stop", float("inf"), "a time must be in seconds"),
        ("bandwidth", 0.4, "the bandwidth must be from 0.5 to 100 bytes, got 0.4"),
        ("bandwidth", 101, "from 0.5 to 100 bytes, got 101"),
        ("max_length", 0, "max_length must be from 1 to 1,048,576, got 0"),
        ("packet_window", 0, "packet_window must be from 1 to"),
        ("top", 8, "top must be from 0 to 7, got 8"),
        ("time_window", "60", "must have a unit"),
        ("time_window", "0s", "more than 0 s"),
        ("remainder", "maybe", "the remainder must be one of drop, keep"),
        ("features", ("entropi",), "no feature set or feature 'entropi'"),
        ("tab", "news", "the tab must be one of lengths, "),
        ("page", -1, "page must be from 0"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_and_leaves_the_state_as_it_was(name: str, value: Any, message: str) -> None:
    state = State(["obfs4", "https"], clients=CLIENTS)
    before = state.choices()
    with pytest.raises(t.TraitError, match=message):
        setattr(state, name, value)
    assert state.choices() == before


def test_a_range_of_time_must_end_after_it_starts() -> None:
    state = State(["a"], clients=CLIENTS, stop=10.0)
    with pytest.raises(t.TraitError, match="must end after it starts, got 10 s to 10 s"):
        state.start = 10.0
    assert (state.start, state.stop) == (0, 10)
    state.set({"start": 20.0, "stop": 30.0})
    assert (state.start, state.stop) == (20, 30)
    with pytest.raises(t.TraitError, match="must end after it starts"):
        state.set({"start": 40.0, "stop": 35.0})
    assert (state.start, state.stop) == (20, 30)


def test_choices_are_written_in_one_way() -> None:
    state = State(["a", "b"], clients=["10.0.0.1/32", "10.0.0.1"], features=["psh", "entropy"], compared=["b", "a"])
    assert state.clients == ("10.0.0.1",)
    assert state.features == ("entropy", "psh")
    assert state.compared == ("a", "b")
    assert networks_of(" 10.0.0.0/24,2001:DB8::1  10.0.0.0/24") == ("10.0.0.0/24", "2001:db8::1")
    assert json.loads(state.to_json()) == json.loads(json.dumps(vars(state.choices())))
    with pytest.raises(t.TraitError, match="no choice 'colour': there are label, "):
        State(["a"], colour="red")
    with pytest.raises(t.TraitError, match="no choice 'colour'"):
        state.set({"colour": "red"})


# Results


def test_each_tab_has_what_the_functions_of_the_package_give(traces: dict[str, toolkit.Trace]) -> None:
    computer = Computer(traces)
    base: dict[str, Any] = {"label": "obfs4", "compared": ("obfs4", "https"), "clients": CLIENTS}
    selection = traces["obfs4"].select(clients=CLIENTS)

    def result(**more: Any) -> Any:
        return computer.result(Choices(**base, **more))

    clusters = result(tab="lengths", bandwidth=7.0, max_length=600).clusters
    expected = toolkit.cluster_lengths(selection, bandwidth=7, max_length=600)
    pd.testing.assert_frame_equal(clusters.to_frame(), expected.to_frame())
    pd.testing.assert_frame_equal(result(tab="bandwidth").sweep, toolkit.bandwidth_sweep(selection))
    tables = result(tab="features", packet_window=20, time_window="30s", features=("psh",)).tables
    table = toolkit.client_features(selection, CLIENTS, packet_window=20, time_window="30s", features="psh")
    pd.testing.assert_frame_equal(tables["obfs4"], table)
    assert list(tables) == ["obfs4", "https"]
    pd.testing.assert_frame_equal(result(tab="entropy").entropy.cells, toolkit.entropy_counts(selection).cells)
    windows = toolkit.client_windows(selection, CLIENTS, 50, time_window="60s")
    pd.testing.assert_frame_equal(result(tab="intervals").gaps["obfs4"], toolkit.interval_cdf(windows, CLIENTS))
    found = result(tab="windows")
    pd.testing.assert_frame_equal(
        found.timeline, toolkit.direction_timeline(selection, CLIENTS, origin=traces["obfs4"].start)
    )
    pd.testing.assert_frame_equal(found.windows, toolkit.window_sweep(selection, CLIENTS))
    inside = 50 * len(windows)
    assert found.note == (
        f"{len(windows)} windows hold {inside:,} of {len(selection):,} packets; {len(selection) - inside:,} fill no "
        "window of 50 within 60s of their pair; 0 are of no client"
    )
    assert result(tab="health").health.to_frame().equals(selection.health().to_frame())


def test_what_is_selected(traces: dict[str, toolkit.Trace]) -> None:
    computer = Computer(traces)

    def packets(**more: Any) -> int:
        return len(computer.selection(Choices("https", ("https",), CLIENTS, **more), "https"))

    frame = traces["https"].packets
    mine = frame["src"].isin(CLIENTS) | frame["dst"].isin(CLIENTS)
    since = (frame["time"] - frame["time"].min()) / pd.Timedelta("1s")
    target = next(host for host in traces["https"].top_hosts(20).index if host.startswith("10.77.2."))
    assert packets() == mine.sum()
    assert packets(protocol="data") == (mine & (frame["payload_length"] > 0)).sum()
    assert packets(protocol="tls") == (mine & (frame["tls_type"] > 0)).sum()
    assert packets(start=2.0, stop=10.0) == (mine & (since >= 2) & (since < 10)).sum()
    assert packets(targets=(target,)) == (mine & ((frame["src"] == target) | (frame["dst"] == target))).sum()
    for nothing in ({"protocol": "udp"}, {"targets": ("192.0.2.1",)}, {"start": 1e6}):
        with pytest.raises(NothingMatchesError, match=r"none meets .*; the busiest hosts are 10\.77\."):
            packets(**nothing)
    with pytest.raises(NothingMatchesError, match="no client is chosen in https; the busiest hosts are"):
        computer.selection(Choices("https", ("https",), ()), "https")


def test_only_what_changed_is_computed_again(traces: dict[str, toolkit.Trace]) -> None:
    computer = Computer(traces)
    steps: list[str] = []
    choices = {"label": "obfs4", "compared": ("obfs4",), "clients": CLIENTS}
    computer.result(Choices(**choices), steps.append)
    assert steps == ["selection of obfs4", "length counts of obfs4", "clusters of obfs4"]
    choices["bandwidth"] = 9.0
    for more in ({}, {"top": 2}, {"packet_window": 9}):
        assert computer.is_quick(Choices(**choices, **more))
        computer.result(Choices(**choices, **more), steps.append)
    assert steps[3:] == ["clusters of obfs4"]  # of the first of them
    assert not computer.is_quick(Choices(**choices, max_length=99))
    assert not computer.is_quick(Choices(**choices, start=1.0))
    computer.result(Choices(**choices, max_length=99), steps.append)
    assert steps[4:] == ["length counts of obfs4", "clusters of obfs4"]
    # back to other packets: nothing of the ones before may be shown
    late = computer.result(Choices(**choices, start=60.0), steps.append)
    assert late.packets == len(traces["obfs4"].select(clients=CLIENTS, start="60s"))
    assert late.clusters.total_packets == late.packets


def test_a_step_can_stop_the_work(traces: dict[str, toolkit.Trace]) -> None:
    def stop(what: str) -> None:
        raise CancelledError(what)

    with pytest.raises(CancelledError, match="selection of obfs4"):
        Computer(traces).result(Choices("obfs4", ("obfs4",), CLIENTS), stop)


# Code


VIEWS: list[dict[str, Any]] = [
    {"tab": "lengths", "bandwidth": 12.5, "max_length": 900, "protocol": "tls"},
    {"tab": "lengths", "start": 3.25, "stop": 100.0, "targets": ("10.77.1.0/24",)},
    {"tab": "bandwidth", "protocol": "data"},
    {"tab": "intervals"},
    {"tab": "intervals", "compared": ("obfs4",), "remainder": "keep"},
    {"tab": "entropy", "protocol": "tcp"},
    {"tab": "windows", "time_window": "7s", "packet_window": 33},
    {"tab": "windows", "remainder": "keep", "start": 20.5},
    {"tab": "features", "features": ("psh", "mean_entropy_up")},
    {"tab": "features", "compared": ("obfs4",)},
    {"tab": "packets", "page": 2},
    {"tab": "health"},
]


@pytest.mark.parametrize("chosen", VIEWS, ids=lambda chosen: " ".join(map(str, chosen.values())))
def test_the_code_gives_what_is_shown(chosen: dict[str, Any], explorer: Explorer) -> None:
    explorer.state.set({"label": "https" if chosen.get("protocol") == "tls" else "obfs4"} | chosen)
    code = explorer.to_code()
    assert code == explorer.keep.code.text == explorer.keep.code.text
    names: dict[str, Any] = {}
    exec(code, names)
    result, shown = explorer.result, names["shown"]
    assert result is not None
    tab = chosen["tab"]
    if tab == "lengths":
        pd.testing.assert_frame_equal(shown.to_frame(), result.clusters.to_frame())
    elif tab == "bandwidth":
        pd.testing.assert_frame_equal(shown, result.sweep)
    elif tab == "entropy":
        pd.testing.assert_frame_equal(shown.cells, result.entropy.cells)
    elif tab == "windows":
        pd.testing.assert_frame_equal(shown, result.windows)
        pd.testing.assert_frame_equal(names["timeline"], result.timeline)
    elif tab == "packets":
        first = PAGE * 2
        assert shown.iloc[first : first + PAGE]["time"].tolist() == result.page["time"].tolist()
    elif tab == "health":
        assert shown.to_frame().equals(result.health.to_frame())
    else:
        assert list(shown) == list(result.tables)
        for label, table in result.tables.items():
            pd.testing.assert_frame_equal(shown[label], table)
        if tab == "intervals":
            for label, counted in result.gaps.items():
                pd.testing.assert_frame_equal(names["gaps"][label], counted)
    assert len(names.get("selection", names.get("selections", {}).get("obfs4"))) > 0


def test_the_code_reads_your_own_file(tmp_path: Path) -> None:
    copy = tmp_path / 'a "strange" name.pcap'
    data = toolkit.example("obfs4").path.read_bytes()
    copy.write_bytes(data[: 24 + 16 + int.from_bytes(data[32:36], "little")])
    explorer = explore(str(copy))
    names: dict[str, Any] = {}
    exec(explorer.to_code().replace("toolkit.plot_length_clusters", "# "), names)
    assert len(names["trace"]) == 1


# Pictures


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_a_picture_of_other_colours_is_the_picture_drawn_anew(traces: dict[str, toolkit.Trace]) -> None:
    computer = Computer(traces)

    def result(bandwidth: float, top: int = 6) -> Any:
        return computer.result(Choices("obfs4", ("obfs4",), CLIENTS, bandwidth=bandwidth, top=top))

    pictures = Pictures()
    first = pictures.png(result(3.0))
    figure = pictures.figure
    for bandwidth in (10.0, 100.0, 4.0):
        again = pixels(pictures.png(result(bandwidth)))
        assert pictures.figure is figure  # only coloured
        canvas: Any = figure.canvas
        canvas.draw()  # all of it
        assert np.array_equal(again, np.asarray(canvas.buffer_rgba())[..., :3])
        fresh = Pictures()
        fresh.png(result(bandwidth))
        shown, expected = (each.axes[0] for each in (figure, fresh.figure))
        assert np.array_equal(shown.collections[0].get_facecolor(), expected.collections[0].get_facecolor())
        words = [[text.get_text() for text in ax.get_legend().get_texts()] for ax in (shown, expected)]
        assert words[0] == words[1]
    assert np.array_equal(pixels(pictures.png(result(3.0))), pixels(first))
    pictures.png(result(3.0, top=2))
    assert pictures.figure is not figure


OTHERWISE: dict[str, Any] = {
    "bandwidth": 9.0, "top": 3, "max_length": 400, "time_window": "2s", "packet_window": 7, "remainder": "keep",
    "features": ("interval",), "clients": CLIENTS[:1], "protocol": "data", "stop": 2.0, "compared": ("obfs4", "https"),
}  # fmt: skip
FOR_LENGTHS, FOR_WINDOWS = {"bandwidth", "top", "max_length"}, {"time_window", "packet_window", "remainder"}
NOT_SHOWN = {
    "lengths": {*FOR_WINDOWS, "features", "compared"},
    "bandwidth": {*FOR_WINDOWS, "top", "features", "compared"},
    "intervals": {*FOR_LENGTHS, "features"},
    "entropy": {*FOR_LENGTHS, *FOR_WINDOWS, "features", "compared"},
    "windows": {*FOR_LENGTHS, "features", "compared"},
    "features": FOR_LENGTHS,
}


@pytest.mark.parametrize("tab", NOT_SHOWN)
def test_a_picture_is_drawn_again_if_it_changes_and_only_then(traces: dict[str, toolkit.Trace], tab: str) -> None:
    computer, pictures = Computer(traces), Pictures()
    choices = Choices("obfs4", ("obfs4",), CLIENTS, tab=tab)
    for name, value in OTHERWISE.items():
        before = pictures.png(computer.result(choices))
        changed = pictures.png(other := computer.result(replace(choices, **{name: value})))
        assert np.array_equal(pixels(changed), pixels(Pictures().png(other))), name
        if name in NOT_SHOWN[tab]:
            assert changed is before, name


def test_a_click_into_the_sweep_chooses_the_bandwidth(explorer: Explorer) -> None:
    explorer.state.tab = "bandwidth"
    ax = explorer.figure.axes[0]
    x, y = ax.transData.transform((20.0, ax.get_ylim()[0] * 3))
    width, height = explorer.figure.bbox.size
    explorer.picture.set_state({"clicked": [x / width, 1 - y / height, 1]})
    assert explorer.state.bandwidth == pytest.approx(20, rel=0.01)
    assert "chosen: 20" in [text.get_text() for text in explorer.figure.axes[0].get_legend().get_texts()]
    explorer.picture.set_state({"clicked": [0.0, 0.0, 2]})  # beside the axes
    assert explorer.state.bandwidth == pytest.approx(20, rel=0.01)
    explorer.state.tab = "lengths"
    explorer.picture.set_state({"clicked": [0.5, 0.5, 3]})
    assert explorer.state.bandwidth == pytest.approx(20, rel=0.01)


# Controls, by the messages that the page sends


def test_the_slider_and_the_number_move_each_other(explorer: Explorer) -> None:
    slider, number = explorer.tuning[:2]
    slider.set_state({"value": 12.345})
    assert (explorer.state.bandwidth, number.value) == (12.3, 12.3)
    assert "bandwidth 12.3" in explorer.picture.description
    number.set_state({"value": 40.0})
    assert explorer.state.bandwidth == 40
    assert slider.value == pytest.approx(40)
    assert explorer.result is not None
    assert explorer.result.choices.bandwidth == 40
    explorer.state.bandwidth = 3.0
    assert (slider.value, number.value) == (pytest.approx(3, rel=0.02), 3)


def test_other_controls_set_their_choices(explorer: Explorer) -> None:
    by_name = {each.description: each for each in explorer.tuning if getattr(each, "description", "")}
    by_name["Longest (bytes)"].set_state({"value": 500})
    by_name["Clusters coloured"].set_state({"value": 2})
    by_name["Time window (s)"].set_state({"value": 2.5})
    by_name["Packets a window"].set_state({"value": 10})
    by_name["Keep windows that are not full"].set_state({"value": True})
    state = explorer.state
    assert (state.max_length, state.top, state.time_window) == (500, 2, "2.5s")
    assert (state.packet_window, state.remainder) == (10, "keep")
    boxes = {box.description: box for box in explorer.tuning[-2].children}
    boxes["entropy"].set_state({"value": False})
    assert "entropy" not in state.features
    assert "psh" in state.features
    explorer.protocol.set_state({"index": 1})
    assert state.protocol == "data"
    explorer.tabs.set_state({"value": "entropy"})
    assert state.tab == "entropy"
    assert explorer.picture.description.startswith("entropy of obfs4")


def test_hosts_are_searched_picked_and_typed(explorer: Explorer) -> None:
    hosts = explorer.clients
    listed = [value for _, value in hosts.hosts.options]
    assert listed == explorer.captures["obfs4"].top_hosts(99).index.tolist()
    assert hosts.hosts.options[0][0].startswith("10.77.0.11   533 p, ")
    assert hosts.hosts.value == tuple(host for host in listed if host in CLIENTS)
    hosts.search.set_state({"value": "0.13"})
    assert [value for _, value in hosts.hosts.options] == ["10.77.0.11", "10.77.0.13", "10.77.0.12"]  # the chosen stay
    hosts.hosts.set_state({"index": [1]})
    assert explorer.state.clients == ("10.77.0.13",)
    assert hosts.networks.value == "10.77.0.13"
    hosts.networks.set_state({"value": "10.77.0.0/2x"})
    assert "must be an address or a network" in hosts.verdict.value
    assert explorer.state.clients == ("10.77.0.13",)
    hosts.networks.set_state({"value": "10.77.0.0/24"})
    assert "><" in hosts.verdict.value  # says nothing
    assert explorer.state.clients == ("10.77.0.0/24",)
    explorer.targets.networks.set_state({"value": "10.77.1.1"})
    assert explorer.state.targets == ("10.77.1.1",)
    explorer.targets.networks.set_state({"value": ""})
    assert explorer.state.targets == ()


def test_a_list_of_hosts_has_an_end_but_the_search_finds_all(traces: dict[str, toolkit.Trace]) -> None:
    trace = traces["https"]
    assert len(host_options(trace.top_hosts(trace.host_count), "")) == trace.host_count
    rare = trace.top_hosts(trace.host_count).index[-1]
    assert [value for _, value in host_options(trace.top_hosts(trace.host_count), rare)] == [rare]


# Wrong input


def control(explorer: Explorer, description: str) -> Any:
    parts = [*explorer.tuning, *explorer.time, explorer.protocol, *explorer.choosing]
    return next(part for part in parts if getattr(part, "description", "") == description)


@pytest.mark.parametrize(
    ("description", "value", "message"),
    [
        ("Bandwidth (bytes)", 1000.0, "the bandwidth must be from 0.5 to 100 bytes, got 1000.0"),
        ("Bandwidth (bytes)", float("nan"), "the bandwidth must be from 0.5 to 100 bytes, got nan"),
        ("Longest (bytes)", 0, "max_length must be from 1 to 1,048,576, got 0"),
        ("Clusters coloured", 8, "top must be from 0 to 7, got 8"),
        ("Time window (s)", 0.0, "0s"),
        ("Time window (s)", -1.0, "-1s"),
        ("Time window (s)", 1e300, "s"),
        ("Packets a window", 0, "packet_window must be from 1"),
        ("from (s)", -1.0, "a time must be in seconds since the first packet, 0 or more, got -1.0"),
        ("to (s)", 0.0, "the time range must end after it starts"),
    ],
)
def test_what_cannot_be_is_said_and_put_back(explorer: Explorer, description: str, value: Any, message: str) -> None:
    box = control(explorer, description)
    before, choices, shown = box.value, explorer.state.choices(), explorer.result
    box.set_state({"value": value})
    assert message in explorer.said.text
    assert explorer.said.wrong
    assert box.value == before
    assert explorer.state.choices() == choices
    assert explorer.result is shown
    assert not is_stale(explorer)
    explorer.state.top = 3
    assert explorer.said.text == ""  # of the last thing done


@pytest.mark.parametrize("seconds", [1e-7, 0.001, 1.23456789, 60.0, 1e6])
def test_time_windows_are_taken_as_they_are_typed(explorer: Explorer, seconds: float) -> None:
    control(explorer, "Time window (s)").set_state({"value": seconds})
    assert explorer.said.text == ""
    assert toolkit.windows.nanoseconds(explorer.state.time_window) == round(seconds * 1e9)
    assert control(explorer, "Time window (s)").value == pytest.approx(seconds, rel=1e-12)


def test_a_time_range_may_lie_where_nothing_is(explorer: Explorer) -> None:
    slider, first, last = explorer.time
    last.set_state({"value": 500.0})
    first.set_state({"value": 400.0})
    assert (explorer.state.start, explorer.state.stop) == (400, 500)  # nothing is written back by the slider
    assert "of the 968 of the clients, none meets the time range (400 to 500 s)" in explorer.status.text
    slider.set_state({"value": [10.0, 20.0]})
    assert (first.value, last.value, explorer.state.start, explorer.state.stop) == (10, 20, 10, 20)
    slider.set_state({"value": [0.0, slider.max]})
    assert (explorer.state.start, explorer.state.stop) == (0, None)


def test_what_is_half_typed_stays(explorer: Explorer) -> None:
    hosts = explorer.clients
    hosts.networks.set_state({"value": "10.77.0."})
    assert "must be an address or a network" in hosts.verdict.value
    hosts.search.set_state({"value": "0.13"})
    explorer.state.label = "https"
    assert hosts.networks.value == "10.77.0."
    hosts.networks.set_state({"value": "10.77.0.13; 10.77.0.11"})
    assert explorer.state.clients == ("10.77.0.13", "10.77.0.11")


def test_a_network_is_taken_when_no_key_comes_for_a_while(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "PAUSE", 0.02)
    seen: list[tuple[str, ...]] = []
    explorer.state.observe(lambda change: seen.append(change["new"]), "clients")
    networks = explorer.clients.networks

    async def type_it() -> None:
        for text in ("10.77.0.1", "10.77.0.1/", "10.77.0.13"):  # the first is an address
            networks.set_state({"value": text})
            await asyncio.sleep(0)
        while not seen:
            await asyncio.sleep(0.005)

    asyncio.run(asyncio.wait_for(type_it(), 20))
    assert seen == [("10.77.0.13",)]


def test_hosts_in_a_network_are_chosen_in_the_list(explorer: Explorer) -> None:
    explorer.state.clients = ("10.77.0.0/24",)
    assert sorted(explorer.clients.hosts.value) == ["10.77.0.11", "10.77.0.12", "10.77.0.13"]
    index = [value for _, value in explorer.clients.hosts.options].index("10.77.0.12")
    explorer.clients.hosts.set_state({"index": [index]})
    assert explorer.state.clients == ("10.77.0.12",)
    assert "1 chosen" in explorer.clients.found.value


# Nothing that matches


def test_nothing_that_matches_is_said_and_nothing_old_is_shown(explorer: Explorer) -> None:
    explorer.clients.networks.set_state({"value": "192.0.2.0/24"})
    assert "no packets match in obfs4; the busiest hosts are 10.77.0.11 (533 packets)" in said(explorer)
    assert "WRONG" in said(explorer)
    assert explorer.result is None
    assert explorer.picture.png == b""
    assert not is_stale(explorer)
    with pytest.raises(toolkit.ToolkitError, match="nothing is shown"):
        explorer.save_figure("x")
    explorer.clients.networks.set_state({"value": "10.77.0.0/24"})
    assert "WRONG" not in said(explorer)
    assert explorer.picture.png


def test_an_error_in_a_callback_is_shown(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise ZeroDivisionError("of mine")

    monkeypatch.setattr(explorer._computer, "result", fail)
    explorer.state.bandwidth = 9.0
    assert "ZeroDivisionError: of mine" in said(explorer)
    assert is_stale(explorer)  # what is still there belongs to earlier choices


def test_packets_are_paged(explorer: Explorer) -> None:
    explorer.state.tab = "packets"
    assert explorer.picture.png == b""
    assert explorer.pages.layout.display == ""
    assert [each.disabled for each in (explorer.first, explorer.back, explorer.forth, explorer.last)] == [1, 1, 0, 0]
    explorer.forth.click()
    assert explorer.state.page == 1
    assert explorer.result is not None
    assert explorer.result.page.index[0] == PAGE
    explorer.back.click()
    explorer.back.click()
    assert explorer.state.page == 0
    explorer.last.click()
    assert explorer.state.page == explorer.result.pages - 1
    assert explorer.result.page.index[-1] == explorer.result.packets - 1
    assert [each.disabled for each in (explorer.first, explorer.back, explorer.forth, explorer.last)] == [0, 0, 1, 1]
    explorer.forth.click()
    assert explorer.state.page == explorer.result.pages - 1
    explorer.state.page = 10_000
    assert explorer.result.page.index[-1] == explorer.result.packets - 1
    explorer.back.click()
    assert explorer.state.page == explorer.result.pages - 2
    explorer.state.protocol = "data"
    assert explorer.state.page == 0  # of other packets, the first page
    explorer.state.set({"protocol": "tcp", "page": 2})
    assert explorer.state.page == 2
    assert State(["a"], clients=("10.0.0.1",), page=3).page == 3


# Tables


def rows_of(text: str) -> list[list[str]]:
    """Read the cells of an HTML table."""
    body = ElementTree.fromstring(text[: text.index("</table>") + 8])
    return [["".join(cell.itertext()) for cell in row] for row in body.iter("tr")]


def test_tables_say_what_they_show(explorer: Explorer) -> None:
    clusters = explorer.clusters.to_frame()
    rows = rows_of(explorer.table.value)
    assert rows[0][:4] == ["cluster", "centre (bytes)", "shortest", "longest"]
    lengths = [str(clusters[name][0]) for name in ("min_length", "max_length")]
    assert rows[1][:4] == ["0", f"{clusters['centre'][0]:,.4g}", *lengths]
    assert rows[1][-1] == f"{clusters['share'][0]:.1%}"
    assert explorer.table.value.count("toolkit-swatch") == 6
    assert f"20 of {len(clusters)} rows" in explorer.table.value
    explorer.state.set({"tab": "packets", "page": 1})
    rows = rows_of(explorer.table.value)
    packet = explorer.selection.packets.iloc[PAGE]
    since = (packet["time"] - explorer.captures["obfs4"].start) / pd.Timedelta("1s")
    assert rows[1][:4] == [
        str(PAGE), str(packet["number"]), f"{since:.6f}", f"{packet['src']}:{packet['src_port']}",
    ]  # fmt: skip
    assert rows[1][5] == "TCP"
    assert [row[6] for row in rows[1:]] == [
        "".join(letter for bit, letter in zip((1, 2, 4, 8, 16), "FSRPA", strict=True) if flags & bit)
        for flags in explorer.selection.packets["tcp_flags"][PAGE : 2 * PAGE]
    ]
    explorer.state.tab = "health"
    health = explorer.selection.health()
    rows = rows_of(explorer.table.value)
    assert len(rows) == 1 + len(health)
    assert [int(row[1].replace(",", "")) for row in rows[1:]] == sorted((f.count for f in health), reverse=True)
    explorer.state.tab = "features"
    before = explorer.result.comparison.distances.copy()  # type: ignore[union-attr]
    assert rows_of(explorer.table.value)[0][:3] == ["feature", "unit", "distance D"]
    assert explorer.result.comparison.distances.equals(before)  # type: ignore[union-attr]


def test_names_are_text(traces: dict[str, toolkit.Trace]) -> None:
    label = "<img src=x onerror=alert(1)>"
    explorer = explore({label: traces["obfs4"], "b": traces["https"]}, clients=CLIENTS, tab="features")
    assert "<img" not in explorer.table.value
    assert "&lt;img" in explorer.table.value


# What is kept


def test_figure_table_and_state_are_written(
    explorer: Explorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    explorer.state.set({"tab": "lengths", "bandwidth": 8.0})
    path = explorer.save_figure("lengths", venue="acm", columns=1)
    record = json.loads(path.read_text())
    assert record["call"] == explorer.to_code()
    assert record["params"]["bandwidth"] == 8
    assert record["size_inches"][0] == 3.337
    assert [trace["name"] for trace in record["traces"]] == ["obfs4.pcap"]
    drawn = pd.read_csv(path.with_suffix(".csv"))
    lengths = drawn[drawn["part"] == "lengths"]
    assert lengths["packets"].sum() == explorer.clusters.counts.sum()
    table = pd.read_csv(explorer.save_table("clusters.csv"), index_col="cluster")
    pd.testing.assert_frame_equal(table, explorer.clusters.to_frame(), check_index_type=False)
    explorer.state.tab = "features"
    tables = pd.read_parquet(explorer.save_table("tables.parquet"))
    assert len(tables) == sum(len(each) for each in explorer.features.values())
    saved = explorer.save_state("mine/view.json")
    explorer.state.set({"bandwidth": 99.0, "tab": "health", "clients": ("10.77.0.13",)})
    explorer.load_state(saved)
    assert (explorer.state.bandwidth, explorer.state.tab, explorer.state.clients) == (8, "features", CLIENTS)
    assert str(tmp_path) not in saved.read_text()
    explorer.state.tab = "health"
    with pytest.raises(toolkit.ToolkitError, match="the tab 'health' has no picture"):
        explorer.save_figure("x")


@pytest.mark.parametrize("text", ["", "[]", '{"bandwidth": 1000}', '{"colour": 1}', '{"label": "meek"}', '{"tab": 3}'])
def test_a_state_that_cannot_be_changes_nothing(text: str, explorer: Explorer, tmp_path: Path) -> None:
    before = explorer.state.choices()
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(toolkit.ToolkitError, match=r"x\.json: "):
        explorer.load_state(tmp_path / "x.json")
    assert explorer.state.choices() == before


def test_the_buttons_write_and_say_so(explorer: Explorer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keep = explorer.keep
    buttons = {button.description: button for button in (keep.figure, keep.table, keep.save, keep.load)}
    keep.name.set_state({"value": "mine"})
    for description, file in (
        ("Save figure", "figures/mine.json"),
        ("Save table", "mine.csv"),
        ("Save state", "mine.state.json"),
    ):
        buttons[description].click()
        assert (tmp_path / file).is_file()
        assert f"written: {file}" in said(explorer)
    explorer.state.bandwidth = 50.0
    buttons["Load state"].click()
    assert explorer.state.bandwidth == 3
    keep.name.set_state({"value": "no/such"})
    buttons["Load state"].click()
    assert "WRONG" in said(explorer)
    buttons["Save figure"].click()
    assert "`name` must be letters, digits" in said(explorer)


@pytest.mark.parametrize("tab", TABS)
def test_the_table_of_each_tab_is_written_whole(explorer: Explorer, tab: str, tmp_path: Path) -> None:
    explorer.state.tab = tab
    table = pd.read_parquet(explorer.save_table(tmp_path / "table.parquet"))
    result = explorer.result
    assert result is not None
    expected = {
        "lengths": lambda: result.clusters.to_frame(),
        "bandwidth": lambda: result.sweep,
        "intervals": lambda: pd.concat(
            {label: toolkit.interval_bin_shares(each) for label, each in result.tables.items()}, names=["capture"]
        ),
        "entropy": lambda: result.entropy.cells,
        "windows": lambda: result.windows,
        "features": lambda: pd.concat(result.tables, names=["capture"]),
        "packets": lambda: explorer.selection.packets,
        "health": lambda: result.health.to_frame(),
    }[tab]()
    for name in table.select_dtypes("category"):  # of addresses
        table[name], expected[name] = table[name].astype(str), expected[name].astype(str)
    pd.testing.assert_frame_equal(table, expected, check_dtype=False, check_index_type=False)


def test_a_capture_with_nothing_to_compare_is_named_and_left_out(
    explorer: Explorer, traces: dict[str, toolkit.Trace]
) -> None:
    only = next(host for host in traces["obfs4"].hosts if host not in traces["https"].hosts)
    explorer.state.set({"clients": (only,), "tab": "features"})
    result = explorer.result
    assert result is not None
    assert (result.without, list(result.tables or ())) == (("https",), ["obfs4"])
    assert "https has no packets of these" in explorer.status.text
    names: dict[str, Any] = {}
    exec(explorer.to_code(), names)
    assert list(names["shown"]) == ["obfs4"]
    assert names["shown"]["obfs4"].equals((result.tables or {})["obfs4"])
    explorer.state.packet_window = 100_000
    assert "no pair has 100,000 packets within 60s" in explorer.status.text
    assert explorer.picture.png == b""
    assert explorer.keep.figure.disabled
    with pytest.raises(toolkit.ToolkitError, match="there is no picture to save"):
        explorer.save_figure("x")


def test_code_is_that_of_the_choices_also_where_nothing_matches(explorer: Explorer) -> None:
    explorer.state.clients = ("192.0.2.1",)
    assert explorer.result is None
    assert 'clients = ["192.0.2.1"]' in explorer.keep.code.text
    assert explorer.keep.table.disabled


def test_a_cell_that_is_run_again_keeps_what_was_chosen(traces: dict[str, toolkit.Trace], monkeypatch: Any) -> None:
    monkeypatch.setattr(remembering, "_remembered", {})
    first = explore(traces["obfs4"], bandwidth=5)
    first.state.set({"bandwidth": 20.0, "tab": "entropy"})
    again = explore(traces["obfs4"], bandwidth=5)
    assert (again.state.bandwidth, again.state.tab) == (20, "entropy")
    other = explore(traces["obfs4"], bandwidth=6)  # the cell was changed: it is asked for something else
    assert (other.state.bandwidth, other.state.tab) == (6, "lengths")
    assert explore(traces["https"], bandwidth=5).state.bandwidth == 5


def test_captures_are_taken_in_every_form(traces: dict[str, toolkit.Trace]) -> None:
    path = toolkit.example("obfs4").path
    assert list(explore(path).captures) == ["obfs4"]
    assert list(explore([path, str(path), traces["https"]]).captures) == ["obfs4", "obfs4 2", "https"]
    assert list(explore({"a": path, "b": traces["https"]}).captures) == ["a", "b"]
    assert explore(path).state.clients == toolkit.suggest_clients(traces["obfs4"])
    assert explore(path, clients="10.77.0.0/24").state.clients == ("10.77.0.0/24",)
    with pytest.raises(ValueError, match="`traces` must hold at least one capture"):
        explore([])
    with pytest.raises(t.TraitError, match="the bandwidth must be from"):
        explore(path, bandwidth=1e9)


def test_importing_the_package_does_not_import_widgets() -> None:
    import subprocess
    import sys

    code = "import toolkit, sys; toolkit.read; print({'ipywidgets', 'anywidget'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# Long work


def test_long_work_runs_beside_the_kernel_and_only_the_last_is_shown() -> None:
    shown: list[str] = []
    told: list[str] = []
    failed: list[Exception] = []
    worker: Worker[str] = Worker(shown.append, failed.append, told.append)
    started, go_on = threading.Event(), threading.Event()

    def slow(step: Any) -> str:
        step("first")
        started.set()
        go_on.wait(10)
        step("second")
        return "slow"

    async def session() -> None:
        worker.run(slow, long=True)
        while not started.is_set():
            await asyncio.sleep(0.001)
        assert worker.busy
        assert shown == []  # the controls answer meanwhile
        worker.run(lambda step: "quick", long=True)
        go_on.set()
        while not shown:
            await asyncio.sleep(0.001)
        assert not worker.busy
        worker.run(lambda step: 1 / 0, long=True)  # type: ignore[arg-type, return-value]
        while not failed:
            await asyncio.sleep(0.001)
        started.clear()
        go_on.clear()
        worker.run(slow, long=True)
        while not started.is_set():
            await asyncio.sleep(0.001)
        worker.cancel()
        go_on.set()
        await asyncio.sleep(0.05)

    asyncio.run(asyncio.wait_for(session(), 20))
    assert shown == ["quick"]
    assert [type(error) for error in failed] == [ZeroDivisionError]
    assert "first" in told
    assert "second" not in told
    worker.run(lambda step: "at once", long=True)  # no loop: in a script
    assert shown[-1] == "at once"


def test_a_large_trace_shows_progress_and_can_be_cancelled(explorer: Explorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "LONG", 0)

    async def session() -> None:
        explorer.state.set({"tab": "features"})
        assert is_stale(explorer)
        assert explorer.cancel.layout.display == ""
        assert explorer.result is not None
        assert explorer.result.choices.tab == "lengths"  # not yet
        explorer.cancel.click()
        assert "cancelled" in said(explorer)
        assert explorer.cancel.description == "Compute"
        assert is_stale(explorer)
        with pytest.raises(toolkit.ToolkitError, match="belongs to earlier choices"):
            explorer.save_table("x.csv")
        await asyncio.sleep(0.2)
        assert explorer.result.choices.tab == "lengths"
        explorer.state.set({"tab": "entropy"})
        while explorer.result.choices.tab != "entropy":
            await asyncio.sleep(0.001)
        assert not is_stale(explorer)

    asyncio.run(asyncio.wait_for(session(), 20))
    assert explorer.result is not None
    assert explorer.result.choices.tab == "entropy"
    assert set(TABS) <= {tab for tab in explorer.tabs.options}
    assert set(NAMES) == set(vars(explorer.state.choices()))


def test_a_choice_that_there_is_not_is_refused() -> None:
    state = State(["a"])
    with pytest.raises(t.TraitError, match=r"no choice 'window': there are label, .*bandwidth"):
        state.window = 50
    state.bandwidth = 50
    assert state.bandwidth == 50
