"""Whatever is done in whatever order, the explorer shows what its controls say."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import traitlets as t
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

import toolkit
from toolkit.features import FEATURES
from toolkit.trace import Trace
from toolkit.widgets.compute import PAGE, Computer
from toolkit.widgets.result import NothingMatchesError, Result
from toolkit.widgets.state import TABS, Choices, networks_of
from toolkit.widgets.tables import table_of
from toolkit.widgets.view import Explorer


def packets(*ends: tuple[str, str], protocol: int = 17) -> Trace:
    """Make packets between these ends, all at the same time."""
    common: dict[str, Any] = {"time": 1_700_000_000, "protocol": protocol, "src_port": 1, "dst_port": 2, "len": 60}
    common |= {"TTL": 64, "payload": b"payload", "tcp_payload_length": 7 if protocol == 6 else 0}
    return Trace.from_packets([common | {"src": src, "dst": dst} for src, dst in ends])


OBFS4, HTTPS = toolkit.load_example("obfs4"), toolkit.load_example("https")
SETS: list[dict[str, Trace]] = [
    {"obfs4": OBFS4},
    {"obfs4": OBFS4, "https": HTTPS},
    {"nothing": OBFS4[:0], "obfs4": OBFS4, "<img src=x onerror=alert(1)>": HTTPS[:300]},
    {'it\'s "v6"': OBFS4[:1], "new\nline": toolkit.concat([OBFS4[:200], HTTPS[:200]])},
]
NETWORKS = st.sampled_from(
    ["", "10.77.0.0/24", "10.77.0.11", "10.77.0.11 10.77.1.1", "0.0.0.0/0 ::/0", "192.0.2.1"]
)  # fmt: skip


def parts(widget: Any) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from parts(child)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other)
        return True
    return bool(one == other)


def outcome(captures: dict[str, Trace], choices: Choices) -> Result | str:
    """Compute from nothing what choices lead to, or say why to nothing."""
    try:
        return Computer(captures).result(choices)
    except NothingMatchesError as error:
        return str(error)


class Using(RuleBasedStateMachine):
    """Uses the controls as a page would, by messages, and looks at all that is shown after each."""

    @initialize(captures=st.sampled_from(SETS))
    def start(self, captures: dict[str, Trace]) -> None:
        self.captures = captures
        self.explorer = Explorer(captures, clients=OBFS4.hosts[:1])
        self.named = {each.description: each for each in parts(self.explorer.widget) if getattr(each, "description", 0)}
        self.check()

    def do(self, act: Callable[[], object]) -> None:
        with contextlib.suppress(t.TraitError):  # only from choices that a script sets
            act()
        self.check()

    def check(self) -> None:
        explorer = self.explorer
        choices = explorer.state.choices()
        expected = outcome(self.captures, choices)
        assert "toolkit-stale" not in explorer.main._dom_classes
        assert explorer.keep.code.text == explorer.to_code()
        if isinstance(expected, str):
            assert (explorer.status.text, explorer.status.wrong) == (expected, True)
            assert explorer.result is None
            assert (explorer.table.value, explorer.picture.png) == ("", b"")
        else:
            assert explorer.result is not None
            assert explorer.result.choices == choices
            assert same(explorer.result.frames(), expected.frames())
            assert explorer.status.text == f"{choices.label}: {expected.packets:,} packets; {expected.note}"
            assert explorer.table.value == table_of(expected)
            assert bool(explorer.picture.png) == expected.has_picture
            self.check_code(expected)
        self.check_controls()

    def check_controls(self) -> None:
        explorer, named, choices = self.explorer, self.named, self.explorer.state.choices()
        assert named["Capture"].value == choices.label
        assert explorer.tabs.value == choices.tab
        assert named["Protocol"].value == choices.protocol
        assert named["Bandwidth (bytes)"].value == choices.bandwidth
        assert abs(np.log10(named["Bandwidth"].value / choices.bandwidth)) < 0.007
        assert named["Longest (bytes)"].value == choices.max_length
        assert named["Clusters coloured"].value == choices.top
        assert named["Packets a window"].value == choices.packet_window
        assert pd.Timedelta(named["Time window (s)"].value, unit="s") == pd.Timedelta(choices.time_window)
        assert named["Keep windows that are not full"].value == (choices.remainder == "keep")
        longest = max(max(trace.duration.total_seconds() for trace in self.captures.values()), 1e-3)
        assert named["from (s)"].value == choices.start
        assert named["to (s)"].value == (longest if choices.stop is None else choices.stop)
        for hosts, networks in ((explorer.clients, choices.clients), (explorer.targets, choices.targets)):
            assert networks_of(hosts.networks.value) == networks
            assert set(networks) & set(self.captures[choices.label].hosts) <= set(hosts.hosts.value)
        for name in FEATURES.sets:
            assert named[name].value == (name in choices.features)
        assert set(named["Single features"].value) == set(choices.features) & set(FEATURES.names)

    def check_code(self, result: Result) -> None:
        """Run the code, with the traces that are there in the place of what it reads."""
        choices, code = result.choices, self.explorer.to_code()
        lines = [line for line in code.splitlines() if not line.startswith(("import", "toolkit.plot", "trace =", "#"))]
        text = "\n".join(lines)
        if "traces = {" in text:
            before, after = text.split("traces = {", 1)
            labels = [
                choices.label,
                *(each for each in choices.compared if each not in (choices.label, *result.without)),
            ]
            text = before + after.split("\n}", 1)[1]
        else:
            labels = [choices.label]
        given = {label: self.captures[label] for label in labels}
        names: dict[str, Any] = {"toolkit": toolkit, "traces": given, "trace": self.captures[choices.label]}
        exec(text, names)
        shown = names["shown"]
        if choices.tab == "lengths":
            assert same(shown.to_frame(), result.frames()["clusters"])
        elif choices.tab in ("bandwidth", "windows"):
            assert same(shown, result.frames()["sweep" if choices.tab == "bandwidth" else "windows"])
        elif choices.tab == "entropy":
            assert same(shown.cells, result.frames()["packets"])
        elif choices.tab == "packets":
            assert same(shown.iloc[PAGE * choices.page : PAGE * (choices.page + 1)].reset_index(drop=True),
                        result.frames()["packets"].reset_index(drop=True))  # fmt: skip
        elif choices.tab == "health":
            assert same(shown.to_frame(), result.frames()["health"])
        else:
            assert same(shown, result.tables)

    # What one does

    @rule(tab=st.sampled_from(TABS))
    def show(self, tab: str) -> None:
        self.do(lambda: self.explorer.tabs.set_state({"value": tab}))

    @rule(place=st.integers(0, 2))
    def look_at(self, place: int) -> None:
        self.do(lambda: self.named["Capture"].set_state({"index": place % len(self.captures)}))

    @rule(places=st.sets(st.integers(0, 1)))
    def compare(self, places: set[int]) -> None:
        if len(self.captures) > 1:
            index = sorted({place % (len(self.captures) - 1) for place in places})
            self.do(lambda: self.named["Compared with"].set_state({"index": index}))

    @rule(networks=NETWORKS, other=st.booleans())
    def type_networks(self, networks: str, other: bool) -> None:
        hosts = self.explorer.targets if other else self.explorer.clients
        self.do(lambda: hosts.networks.set_state({"value": networks}))

    @rule(places=st.sets(st.integers(0, 4), min_size=1, max_size=3), other=st.booleans())
    def pick(self, places: set[int], other: bool) -> None:
        hosts = self.explorer.targets if other else self.explorer.clients
        index = sorted(place for place in places if place < len(hosts.hosts.options))
        self.do(lambda: hosts.hosts.set_state({"index": index}))

    @rule(words=st.sampled_from(["", "10.77.1", "0.1", "nobody"]))
    def search(self, words: str) -> None:
        self.do(lambda: self.explorer.clients.search.set_state({"value": words}))

    @rule(place=st.integers(0, 4))
    def choose_protocol(self, place: int) -> None:
        self.do(lambda: self.named["Protocol"].set_state({"index": place}))

    @rule(ends=st.lists(st.floats(0, 1), min_size=2, max_size=2).map(sorted))
    def slide_time(self, ends: list[float]) -> None:
        slider = self.named["Time (s)"]
        self.do(lambda: slider.set_state({"value": [end * slider.max for end in ends]}))

    @rule(
        value=st.sampled_from([-1.0, 0.0, 1e-7, 1 / 3, 5.0, 60.0, 200.0]), end=st.sampled_from(["from (s)", "to (s)"])
    )
    def type_time(self, value: float, end: str) -> None:
        self.do(lambda: self.named[end].set_state({"value": value}))

    @rule(value=st.floats(0.4, 101), name=st.sampled_from(["Bandwidth (bytes)", "Bandwidth"]))
    def choose_bandwidth(self, value: float, name: str) -> None:
        value = max(value, 0.5) if name == "Bandwidth" else value
        self.do(lambda: self.named[name].set_state({"value": min(value, 100.0) if name == "Bandwidth" else value}))

    @rule(value=st.sampled_from([0.0, 1e-6, 0.001, 2.5, 60.0, 1234.567]))
    def type_width(self, value: float) -> None:
        self.do(lambda: self.named["Time window (s)"].set_state({"value": value}))

    @rule(value=st.integers(-1, 60), name=st.sampled_from(["Longest (bytes)", "Clusters coloured", "Packets a window"]))
    def type_number(self, value: int, name: str) -> None:
        self.do(lambda: self.named[name].set_state({"value": value * 25 if name == "Longest (bytes)" else value}))

    @rule(name=st.sampled_from([*FEATURES.sets, "Keep windows that are not full"]), value=st.booleans())
    def tick(self, name: str, value: bool) -> None:
        self.do(lambda: self.named[name].set_state({"value": value}))

    @rule(places=st.sets(st.integers(0, 20), max_size=3))
    def pick_features(self, places: set[int]) -> None:
        self.do(lambda: self.named["Single features"].set_state({"index": sorted(places)}))

    @rule(name=st.sampled_from(["First", "Earlier", "Later", "Last"]))
    def turn_pages(self, name: str) -> None:
        self.do(lambda: self.named[name].click())

    @rule(x=st.floats(0, 1), y=st.floats(0, 1))
    def click(self, x: float, y: float) -> None:
        self.do(lambda: self.explorer.picture.set_state({"clicked": [x, y, 0.0]}))

    @rule(
        choices=st.fixed_dictionaries(
            {},
            optional={
                "start": st.sampled_from([0.0, 1.0, 30.0, 200.0]),
                "stop": st.sampled_from([None, 40.0, 100.0]),
                "bandwidth": st.sampled_from([0.5, 1.9999999, 50.0]),
                "tab": st.sampled_from(TABS),
                "time_window": st.sampled_from(["2min", "100ns", "3h 2ms"]),
                "features": st.sampled_from([(), ("psh",), ("mean_entropy_up", "entropy")]),
                "page": st.sampled_from([0, 3, 1_000]),
            },
        )
    )
    def set_several(self, choices: dict[str, Any]) -> None:
        self.do(lambda: self.explorer.state.set(choices))

    def teardown(self) -> None:
        if hasattr(self, "explorer"):
            self.explorer.close()


Using.TestCase.settings = settings(
    max_examples=25, stateful_step_count=15, deadline=None, derandomize=True,
    phases=[Phase.generate],  # to make a failure smaller takes minutes
)  # fmt: skip
TestUsing = Using.TestCase
