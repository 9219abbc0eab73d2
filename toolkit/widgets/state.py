"""What is chosen in the explorer: checked as it is set, without widgets and without results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import pandas as pd
import traitlets as t

from toolkit.features import FEATURES
from toolkit.hosts import parse_networks
from toolkit.windows import Remainder, nanoseconds

PROTOCOLS = {"all": "all packets", "data": "packets with payload", "tcp": "TCP", "tls": "TLS records", "udp": "UDP"}
"""What `protocol` may be, and how it reads."""

TABS = ("lengths", "bandwidth", "intervals", "entropy", "windows", "features", "packets", "health")

LEAST_BANDWIDTH, MOST_BANDWIDTH = 0.5, 100.0


@dataclass(frozen=True)
class Choices:
    """All that a view depends on, besides the captures. Its fields are the traits of `State`.

    Attributes
    ----------
    label
        The capture looked at.
    compared
        Labels of the captures in comparisons, `label` always with them.
    clients
        Addresses or networks of the clients.
    targets
        Addresses or networks, one of which must be an end of each packet; none for all.
    protocol
        A key of `PROTOCOLS`.
    start, stop
        Half-open range of time, in seconds since the first packet of each capture; ``stop=None`` for its end.
    bandwidth, max_length, top
        Of the length clusters; `top` get a colour.
    time_window, packet_window, remainder
        As in `toolkit.client_features`.
    features
        Feature sets or single features.
    tab
        What is shown, one of `TABS`.
    page
        Of the packets, from 0.
    """

    label: str
    compared: tuple[str, ...]
    clients: tuple[str, ...]
    targets: tuple[str, ...] = ()
    protocol: str = "all"
    start: float = 0.0
    stop: float | None = None
    bandwidth: float = 3.0
    max_length: int = 1300
    top: int = 6
    time_window: str = "60s"
    packet_window: int = 50
    remainder: Remainder = "drop"
    features: tuple[str, ...] = FEATURES.sets
    tab: str = "lengths"
    page: int = 0


NAMES = tuple(field.name for field in fields(Choices))


def networks_of(values: str | Iterable[str]) -> tuple[str, ...]:
    """Read addresses and networks with commas, semicolons or spaces between; each once, in their order.

    Raises
    ------
    ValueError
        If one is neither.

    Examples
    --------
    >>> networks_of("10.0.0.0/24, 2001:db8::1")
    ('10.0.0.0/24', '2001:db8::1')
    """
    listed = values.replace(",", " ").replace(";", " ").split() if isinstance(values, str) else list(values)
    if not listed:
        return ()
    found = parse_networks(listed)
    return tuple(
        dict.fromkeys(
            str(network.network_address if network.prefixlen == network.max_prefixlen else network) for network in found
        )
    )


class State(t.HasTraits):
    """The choices as traits. What cannot be is refused with a `TraitError` that says why, and leaves them as they were.

    Parameters
    ----------
    labels
        Of the captures there are.
    initial
        Any of the fields of `Choices`.

    Examples
    --------
    >>> state = State(["obfs4"], clients=("10.77.0.11",))
    >>> state.bandwidth = 1_000
    Traceback (most recent call last):
    traitlets.traitlets.TraitError: the bandwidth must be from 0.5 to 100 bytes, got 1000.0
    >>> state.bandwidth
    3.0
    """

    label = t.Unicode()
    compared = t.Tuple()
    clients = t.Tuple()
    targets = t.Tuple()
    protocol = t.Unicode("all")
    start = t.Float(0.0)
    stop = t.Float(None, allow_none=True)
    bandwidth = t.Float(3.0)
    max_length = t.Int(1300)
    top = t.Int(6)
    time_window = t.Unicode("60s")
    packet_window = t.Int(50)
    remainder = t.Unicode("drop")
    features = t.Tuple(default_value=FEATURES.sets)
    tab = t.Unicode("lengths")
    page = t.Int(0)

    def __init__(self, labels: Iterable[str], **initial: Any) -> None:
        self.labels = tuple(labels)
        initial.setdefault("label", self.labels[0])
        initial.setdefault("compared", self.labels)
        unknown = [name for name in initial if name not in NAMES]
        if unknown:
            raise t.TraitError(f"no choice {unknown[0]!r}: there are {', '.join(NAMES)}")
        super().__init__(**initial)
        self.page = initial.get("page", 0)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a choice; refuse what is none, which would be lost."""
        if not name.startswith("_") and name != "labels" and not hasattr(type(self), name) and name not in vars(self):
            raise t.TraitError(f"no choice {name!r}: there are {', '.join(NAMES)}")
        super().__setattr__(name, value)

    def choices(self) -> Choices:
        """Give the choices as they are now, immutable."""
        return Choices(**{name: getattr(self, name) for name in NAMES})

    def set(self, choices: Mapping[str, Any]) -> None:
        """Set several at once: all of them, or if one cannot be, none."""
        unknown = [name for name in choices if name not in NAMES]
        if unknown:
            raise t.TraitError(f"no choice {unknown[0]!r}: there are {', '.join(NAMES)}")
        with self.hold_trait_notifications():
            for name, value in choices.items():
                setattr(self, name, tuple(value) if isinstance(value, list) else value)
        self.page = choices.get("page", self.page)  # after other packets have led to the first one

    def to_json(self) -> str:
        """Give the choices as JSON, to be sent to a colleague."""
        return json.dumps(asdict(self.choices()), indent=2) + "\n"

    @t.observe("label", "clients", "targets", "protocol", "start", "stop")
    def _first_page(self, change: Any) -> None:
        self.page = 0

    @t.validate("label", "compared")
    def _of_labels(self, proposal: Any) -> Any:
        value = proposal["value"]
        wrong = [label for label in ([value] if isinstance(value, str) else value) if label not in self.labels]
        if wrong:
            raise t.TraitError(f"no capture {wrong[0]!r}: there are {', '.join(self.labels)}")
        return value if isinstance(value, str) else tuple(label for label in self.labels if label in value)

    @t.validate("clients", "targets")
    def _networks(self, proposal: Any) -> tuple[str, ...]:
        try:
            return networks_of(proposal["value"])
        except ValueError as error:
            raise t.TraitError(str(error)) from None

    @t.validate("protocol")
    def _protocol(self, proposal: Any) -> str:
        return _one_of("the protocol", proposal["value"], PROTOCOLS)

    @t.validate("remainder")
    def _remainder(self, proposal: Any) -> str:
        return _one_of("the remainder", proposal["value"], ("drop", "keep"))

    @t.validate("tab")
    def _tab(self, proposal: Any) -> str:
        return _one_of("the tab", proposal["value"], TABS)

    @t.validate("start", "stop")
    def _seconds(self, proposal: Any) -> float | None:
        value = proposal["value"]
        if value is not None and not 0 <= value < 1e12:
            raise t.TraitError(f"a time must be in seconds since the first packet, 0 or more, got {value}")
        start = value if proposal["trait"].name == "start" else self.start
        stop = value if proposal["trait"].name == "stop" else self.stop
        if stop is not None and start >= stop:
            raise t.TraitError(f"the time range must end after it starts, got {start:g} s to {stop:g} s")
        return None if value is None else float(value)

    @t.validate("bandwidth")
    def _bandwidth(self, proposal: Any) -> float:
        value = float(proposal["value"])
        if not LEAST_BANDWIDTH <= value <= MOST_BANDWIDTH:
            wanted = f"from {LEAST_BANDWIDTH:g} to {MOST_BANDWIDTH:g} bytes"
            raise t.TraitError(f"the bandwidth must be {wanted}, got {value}")
        return value

    @t.validate("max_length", "packet_window", "top", "page")
    def _number(self, proposal: Any) -> int:
        name, value = proposal["trait"].name, int(proposal["value"])
        least, most = {"max_length": (1, 1 << 20), "packet_window": (1, 1 << 31), "top": (0, 7)}.get(name, (0, 1 << 40))
        if not least <= value <= most:
            raise t.TraitError(f"{name} must be from {least:,} to {most:,}, got {value:,}")
        return value

    @t.validate("time_window")
    def _duration(self, proposal: Any) -> str:
        try:
            nanoseconds(proposal["value"])
        except ValueError as error:
            raise t.TraitError(str(error)) from None
        return str(proposal["value"])

    @t.validate("features")
    def _features(self, proposal: Any) -> tuple[str, ...]:
        known = (*FEATURES.sets, *FEATURES.names)
        wrong = [name for name in proposal["value"] if name not in known]
        if wrong:
            raise t.TraitError(f"no feature set or feature {wrong[0]!r}: the sets are {', '.join(FEATURES.sets)}")
        return tuple(name for name in known if name in proposal["value"])


def _one_of(what: str, value: str, allowed: Iterable[str]) -> str:
    if value not in allowed:
        raise t.TraitError(f"{what} must be one of {', '.join(allowed)}, got {value!r}")
    return value


def width_text(seconds: float) -> str:
    """Give a width in seconds as `Choices.time_window` has it.

    Examples
    --------
    >>> width_text(60.0), width_text(0.25), width_text(1e-7)
    ('60s', '0.25s', '0.0000001s')
    """
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"  # to the nanosecond, without an exponent


def width_seconds(width: str) -> float:
    """Give a width such as ``"60s"`` in seconds."""
    return float(pd.Timedelta(width) / pd.Timedelta("1s"))
