"""The reference against numbers worked out by hand, and against what must hold for any packets."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import (
    ACK,
    ICMP,
    ICMP6,
    PSH,
    SETS,
    SYN,
    TCP,
    UDP,
    Packet,
    client_features,
    client_target,
    client_windows,
    count_windows,
    entropy,
    is_client,
    remote_and_clients,
    synchronise,
    time_windows,
    window_features,
)
from strategies import FIFTY_YEARS, FLAGS, GAPS, HOSTS, LATEST, SEQUENCES, SIZES, networks, packets, to_dict

quick = settings(max_examples=60, deadline=None, derandomize=True)

MICRO = 1_000  # ns
A, B, X, Y = "10.0.0.1", "10.0.0.2", "192.0.2.9", "198.51.100.7"
CLIENTS = ["10.0.0.0/24"]
NAMES = {
    f"{feature}_{direction}"
    for direction in ("up", "down")
    for feature in [
        *("mean_entropy", "max_entropy", "min_entropy", "mean_interval", "top1_tcp_len", "top2_tcp_len"),
        *("mean_tcp_len", "push_ratio", "bin_1000_interval", "bin_10000_interval", "bin_100000_interval"),
        *("bin_1000000_interval", "bin_100_len", "bin_200_len", "bin_300_len", "bin_400_len", "bin_500_len"),
        *("bin_600_len", "bin_700_len", "bin_800_len", "bin_900_len", "bin_1000_len", "bin_1100_len", "bin_1200_len"),
        *("bin_1300_len", "bin_1400_len", "bin_1500_len"),
    ]
} | {"up_down_ratio"}


def tcp(time_us: float = 0, size: int = 0, *, src: str = A, dst: str = X, seq: int = 0, **other: Any) -> Packet:
    time_ns = round(time_us * MICRO)
    return Packet(time_ns, src, dst, TCP, 40 + size, 1, 2, seq, payload=other.pop("payload", b"a" * size), **other)


def udp(time_us: int = 0, src: str = A, dst: str = X) -> Packet:
    return Packet(time_us * MICRO, src, dst, UDP, 33, 1, 2, payload=b"hello")


def nonzero(features: dict[str, float], *parts: str) -> dict[str, float]:
    """Return the features other than 0 with these parts in their name."""
    return {name: value for name, value in features.items() if value and all(part in name for part in parts)}


def test_packet_is_as_long_as_its_payload_unless_told() -> None:
    assert tcp(size=7).payload_length == 7
    assert tcp(size=7, payload_length=1_448).payload_length == 1_448
    assert Packet(0, A, X, TCP, 40).payload_length == 0


@pytest.mark.parametrize(
    ("payload", "bits"),
    [
        (b"", 0),
        (b"a", 0),
        (b"a" * 65_000, 0),
        (b"aabb", 1),  # 2 · ½ · log2 2
        (b"abcd", 2),
        (b"aaab", 2 - 0.75 * math.log2(3)),  # ¾ · log2(4/3) + ¼ · log2 4 = ¾ (2 - log2 3) + ½
        (b"aabc", 1.5),  # ½ · 1 + 2 · ¼ · 2
        (bytes(range(256)), 8),
        (bytes(range(256)) * 250, 8),
    ],
)
def test_entropy(payload: bytes, bits: float) -> None:
    assert entropy(payload) == pytest.approx(bits, abs=1e-15)


@given(st.binary(max_size=300), st.randoms(use_true_random=False))
@quick
def test_entropy_depends_on_counts_alone(payload: bytes, order: Any) -> None:
    found = entropy(payload)
    assert 0 <= found <= math.log2(max(len(set(payload)), 1)) + 1e-12
    assert entropy(payload * 3) == pytest.approx(found, abs=1e-12)
    assert entropy(bytes(255 - byte for byte in order.sample(payload, len(payload)))) == pytest.approx(found, abs=1e-12)


def test_clients() -> None:
    assert is_client(A, [A])
    assert is_client(A, ["203.0.113.0/24", "10.0.0.0/31"])
    assert not is_client(B, ["10.0.0.0/31"])  # 10.0.0.0 and 10.0.0.1
    assert is_client("2001:db8::1", ["2001:db8::/64"])
    assert not is_client("2001:db8:0:1::1", ["2001:db8::/64"])
    assert not is_client(A, ["::/0"])
    assert not is_client("a00:1::", ["0.0.0.0/0", "10.0.0.0/8"])
    assert not is_client(A, [])


def test_first_network_decides_and_looks_at_the_source_first() -> None:
    assert client_target(tcp(src=A, dst=X), CLIENTS) == (A, X)
    assert client_target(tcp(src=X, dst=A), CLIENTS) == (A, X)
    assert client_target(tcp(src=A, dst=B), CLIENTS) == (A, B)
    assert client_target(tcp(src=B, dst=A), CLIENTS) == (B, A)
    assert client_target(tcp(src=A, dst=X), [X, A]) == (X, A)
    assert client_target(tcp(src=A, dst=X), [A, X]) == (A, X)
    assert client_target(tcp(src=A, dst=A), [A]) == (A, A)
    assert client_target(tcp(src=X, dst=Y), CLIENTS) is None
    assert client_target(tcp(), []) is None


def test_remote_and_clients() -> None:
    trace = [tcp(src=A, dst=X), tcp(src=Y, dst=B), udp(dst="203.0.113.5"), tcp(src=X, dst="203.0.113.6")]
    assert remote_and_clients(trace, CLIENTS) == ({X, Y}, {A, B})
    assert remote_and_clients([tcp(src=A, dst=B)], CLIENTS) == ({A, B}, {A, B})
    assert remote_and_clients([tcp(src=A, dst=B)], [A]) == ({B}, {A})
    assert remote_and_clients([], CLIENTS) == (set(), set())


def test_count_windows() -> None:
    trace = [tcp()] * 5
    assert count_windows(trace, 2) == [[0, 1], [2, 3]]
    assert count_windows(trace, 2, "keep") == [[0, 1], [2, 3], [4]]
    assert count_windows(trace, 5) == count_windows(trace, 5, "keep") == [[0, 1, 2, 3, 4]]
    assert count_windows(trace, 6) == []
    assert count_windows(trace, 6, "keep") == [[0, 1, 2, 3, 4]]
    assert count_windows([], 1, "keep") == []


@pytest.mark.parametrize("n", [0, -1, True, 2.0, "2", None])
def test_number_of_packets_is_checked(n: Any) -> None:
    with pytest.raises(ValueError, match="`n` must be an int of 1 or more"):
        count_windows([], n)
    with pytest.raises(ValueError, match="`n` must be an int of 1 or more"):
        client_windows([tcp()], CLIENTS, n)


def test_time_windows_are_half_open_and_in_order_of_time() -> None:
    # Earliest 3 µs; widths of 2 µs: [3, 5), [5, 7), [7, 9), ...
    times = [5, 3, 4.999, 7, 5, 6.999, 11]
    trace = [tcp(time) for time in times]
    assert time_windows(trace, 2 * MICRO) == {0: [1, 2], 1: [0, 4, 5], 2: [3], 4: [6]}
    assert list(time_windows(trace, 2 * MICRO)) == [0, 1, 2, 4]
    assert time_windows(trace, 10**18) == {0: [1, 2, 0, 4, 5, 3, 6]}
    assert time_windows([], 1) == {}
    with pytest.raises(ValueError, match="`width_ns` must be 1 or more, got 0"):
        time_windows([], 0)


def test_fifty_years_make_two_windows() -> None:
    jump = [tcp(), replace(tcp(), time_ns=FIFTY_YEARS)]
    assert time_windows(jump, 60_000_000_000) == {0: [0], 50 * 365 * 24 * 60: [1]}


def test_client_windows() -> None:
    trace = [
        tcp(src=X, dst=Y),  # 0: of no client
        tcp(src=Y, dst=B),  # 1: first packet of (B, Y)
        tcp(src=A, dst=X),  # 2: first packet of (A, X)
        tcp(src=X, dst=A),  # 3
        udp(src=B, dst=Y),  # 4
        tcp(src=A, dst=X),  # 5: left over
        tcp(src=A, dst=Y),  # 6: a pair of one packet
    ]
    assert client_windows(trace, CLIENTS, 2) == [((B, Y), 0, [1, 4]), ((A, X), 0, [2, 3])]
    assert client_windows(trace, CLIENTS, 2, "keep") == [
        ((B, Y), 0, [1, 4]),
        ((A, X), 0, [2, 3]),
        ((A, X), 1, [5]),
        ((A, Y), 0, [6]),
    ]


def test_nothing_gives_zeros_and_a_second() -> None:
    for window in ([], [udp(), udp(src=X, dst=A)], [tcp(src=X, dst=Y)]):
        features = window_features(window, CLIENTS)
        assert features.keys() == NAMES
        assert len(features) == 55
        ratio = {"up_down_ratio": 1.0} if len(window) == 2 else {}
        assert nonzero(features) == {"mean_interval_up": 1e6, "mean_interval_down": 1e6} | ratio


def test_single_packet_up_counts() -> None:
    features = window_features([tcp(size=150, payload=b"ab" * 75, tcp_flags=ACK | PSH)], CLIENTS)
    assert nonzero(features) == {
        "mean_entropy_up": 1,
        "max_entropy_up": 1,
        "min_entropy_up": 1,
        "mean_interval_up": 1e6,
        "mean_interval_down": 1e6,
        "top1_tcp_len_up": 150,
        "mean_tcp_len_up": 150,
        "bin_200_len_up": 1,
        "push_ratio_up": 1,
    }


def test_packet_between_clients_is_up_and_down() -> None:
    features = window_features([tcp(size=10, src=A, dst=B)], CLIENTS)
    assert nonzero(features, "len") == {
        f"{name}_{direction}": value
        for name, value in (("top1_tcp_len", 10), ("mean_tcp_len", 10), ("bin_100_len", 1))
        for direction in ("up", "down")
    }
    assert features["up_down_ratio"] == 1


def test_ratio_counts_every_protocol() -> None:
    up, down = [udp(), tcp(), udp()], [udp(src=X, dst=A), Packet(0, X, A, ICMP, 28)]
    assert window_features([*up, *down], CLIENTS)["up_down_ratio"] == 1.5
    assert window_features(up, CLIENTS)["up_down_ratio"] == 0
    assert window_features(down, CLIENTS)["up_down_ratio"] == 0


def test_window_entropy_counts_empty_payloads() -> None:
    # 0, 1 and 2 bits: mean 1
    window = [tcp(payload=payload) for payload in (b"", b"ab", b"abcd")]
    assert nonzero(window_features(window, CLIENTS, ["entropy"])) == {"mean_entropy_up": 1, "max_entropy_up": 2}


def test_window_entropy_is_of_what_was_captured() -> None:
    window = [tcp(payload=b"ab", payload_length=1_000)]
    features = window_features(window, CLIENTS)
    assert features["mean_entropy_up"] == 1
    assert features["mean_tcp_len_up"] == 1_000


def test_intervals() -> None:
    window = [
        tcp(0, seq=1),
        tcp(100, seq=1),  # sent again: no gap, and the next gap does not start here
        tcp(200, seq=1, src=X, dst=A),  # the other direction knows nothing of it
        tcp(500, seq=2),  # 500 µs after the first
        tcp(700, seq=1),  # again
        tcp(5_500, seq=3),  # 5,000 µs after 500
        tcp(5_500, seq=4),  # 0 µs
        tcp(6_500, seq=9, src=X, dst=A),  # down: 6,300 µs
        udp(6_600),
    ]
    features = window_features(window, CLIENTS, ["interval", "interval_bins"])
    assert nonzero(features) == {
        "mean_interval_up": 5_500 / 3,  # 500, 5,000 and 0
        "bin_1000_interval_up": 2 / 6,  # six TCP packets up
        "bin_10000_interval_up": 1 / 6,
        "mean_interval_down": 6_300,
        "bin_10000_interval_down": 1 / 2,
        "up_down_ratio": 7 / 2,
    }


@pytest.mark.parametrize(
    ("gap_ns", "high"),
    [
        (0, 1_000),
        (999_999, 1_000),
        (1_000_000, 10_000),
        (9_999_999, 10_000),
        (10_000_000, 100_000),
        (99_999_999, 100_000),
        (100_000_000, 1_000_000),
        (999_999_999, 1_000_000),
        (1_000_000_000, None),
        (FIFTY_YEARS, None),
    ],
)
@pytest.mark.parametrize("back", [False, True])
def test_edges_of_intervals(gap_ns: int, high: int | None, *, back: bool) -> None:
    start = 1_700_000_000_123_456_789
    window = [replace(tcp(seq=0), time_ns=start), replace(tcp(seq=1), time_ns=start + gap_ns)]
    features = window_features(window[::-1] if back else window, CLIENTS)
    assert features["mean_interval_up"] == gap_ns / 1_000
    assert nonzero(features, "bin", "interval") == ({f"bin_{high}_interval_up": 0.5} if high else {})


def test_one_sequence_number_has_no_interval() -> None:
    features = window_features([tcp(0, seq=7), tcp(50, seq=7)], CLIENTS, ["interval", "interval_bins"])
    assert nonzero(features) == {"mean_interval_up": 1e6, "mean_interval_down": 1e6}


@pytest.mark.parametrize(
    ("sizes", "top"),
    [
        ([], (0, 0)),
        ([5], (5, 0)),
        ([5, 5], (5, 0)),
        ([9, 5], (5, 9)),  # a tie: the shorter first
        ([9, 5, 9], (9, 5)),
        ([9, 7, 8, 7, 8], (7, 8)),
        ([1_448, 0, 0, 700, 20], (0, 20)),  # a tie for the second place
        ([0, 65_000], (0, 65_000)),
    ],
)
def test_most_common_lengths(sizes: list[int], top: tuple[float, float]) -> None:
    features = window_features([tcp(size=size) for size in sizes], CLIENTS, ["tcp_len"])
    assert (features["top1_tcp_len_up"], features["top2_tcp_len_up"]) == top
    assert features["mean_tcp_len_up"] == (sum(sizes) / len(sizes) if sizes else 0)


@pytest.mark.parametrize(
    ("size", "bins"),
    [
        (0, {100: 1}),
        (99, {100: 1}),
        (100, {200: 1}),
        (1_399, {1_400: 1}),
        (1_400, {1_500: 1}),
        (1_499, {1_500: 1}),
        (1_500, {1_500: 1}),
        (1_501, {1_500: 1, 100: 1}),
        (1_600, {1_500: 1, 200: 1}),  # 1,500 + 100
        (2_999, {1_500: 2}),  # 1,500 + 1,499
        (3_000, {1_500: 2}),
        (4_600, {1_500: 3, 200: 1}),
        (65_000, {1_500: 43, 600: 1}),  # 43 · 1,500 = 64,500
    ],
)
def test_bins_of_lengths(size: int, bins: dict[int, int]) -> None:
    features = window_features([tcp(size=size)], CLIENTS, ["tcp_len_bins"])
    assert nonzero(features) == {f"bin_{high}_len_up": count for high, count in bins.items()}


def test_bins_of_lengths_are_shares_of_the_tcp_packets() -> None:
    window = [tcp(size=0), tcp(size=3_000), tcp(size=50), tcp(size=1_550), udp()]
    features = window_features(window, CLIENTS, ["tcp_len_bins"])
    assert nonzero(features) == {"bin_100_len_up": 3 / 4, "bin_1500_len_up": 3 / 4}


def test_push_ratio() -> None:
    flags = [ACK, ACK | PSH, ACK | PSH | SYN, PSH, SYN, ACK]  # two of four; PSH without ACK is neither
    assert window_features([tcp(tcp_flags=flag) for flag in flags], CLIENTS)["push_ratio_up"] == 0.5
    assert window_features([tcp(tcp_flags=PSH), tcp(tcp_flags=SYN)], CLIENTS)["push_ratio_up"] == 0


def test_sets() -> None:
    window = [tcp(size=3), tcp(size=4, src=X, dst=A)]
    whole = window_features(window, CLIENTS)
    assert set(window_features(window, CLIENTS, [])) == {"up_down_ratio"}
    assert set(window_features(window, CLIENTS, ["psh"])) == {"push_ratio_up", "push_ratio_down", "up_down_ratio"}
    numbers = {}
    for name in SETS:
        part = window_features(window, CLIENTS, [name])
        assert part.items() <= whole.items()
        numbers[name] = len(part) - 1
    assert numbers == {"entropy": 6, "interval": 2, "interval_bins": 8, "tcp_len": 6, "tcp_len_bins": 30, "psh": 2}
    with pytest.raises(ValueError, match="`sets` must be among"):
        window_features(window, CLIENTS, ["length"])


def test_client_features() -> None:
    trace = [
        tcp(10, 1, src=A, dst=X),
        tcp(0, 2, src=X, dst=Y),  # of no client, but the earliest: the windows are [0, 10) and [10, 20)
        tcp(3, 3, src=B, dst=X),
        tcp(2, 4, src=A, dst=X),
        tcp(4, 5, src=X, dst=A),
        tcp(9, 6, src=B, dst=X),
        tcp(5, 7, src=A, dst=X),
        tcp(19, 8, src=A, dst=X),
        tcp(20, 9, src=A, dst=X),
    ]
    found = client_features(trace, CLIENTS, 10 * MICRO, 2)
    lengths = {key: (value["mean_tcp_len_up"], value["mean_tcp_len_down"]) for key, value in found}
    assert [key for key, _ in found] == [(A, X, 0, 0), (B, X, 0, 0), (A, X, 1, 0)]
    assert lengths == {(A, X, 0, 0): (4, 5), (B, X, 0, 0): (4.5, 0), (A, X, 1, 0): (4.5, 0)}
    kept = client_features(trace, CLIENTS, 10 * MICRO, 2, "keep")
    assert [key for key, _ in kept] == [(A, X, 0, 0), (A, X, 0, 1), (B, X, 0, 0), (A, X, 1, 0), (A, X, 2, 0)]
    assert dict(kept)[A, X, 0, 1]["mean_tcp_len_up"] == 7


def test_synchronise() -> None:
    trace = [tcp(5, 1), tcp(3, 2), tcp(9, 3), tcp(3, 4)]
    before = list(trace)
    assert [packet.time_ns for packet in synchronise(trace, 1)] == [1, -1_999, 4_001, -1_999]
    in_order = synchronise(trace, 1, sort=True)
    assert [(packet.time_ns, packet.payload_length) for packet in in_order] == [(1, 2), (1, 4), (2_001, 1), (6_001, 3)]
    assert trace == before
    assert synchronise([], 1) == synchronise([], 1, sort=True) == []


def test_dictionary() -> None:
    record = b"\x17\x03\x03\x00\x02ab"
    packet = tcp(1_700_000_000_123_456, 7, payload=record, tls_type=23, seq=5, tcp_ack=6, tcp_flags=ACK | PSH, ttl=3)
    set_flags = dict.fromkeys(["FIN", "SYN", "RST", "URG", "ECE", "CWR"], False) | {"PSH": True, "ACK": True}
    assert to_dict(packet) == {
        "type": "IPv4",
        "src": A,
        "dst": X,
        "len": 47,
        "ttl": 3,
        "proto": "TCP",
        "time": "1700000000.123456000",
        "tcp_info": {"sport": 1, "dport": 2, "flags": set_flags, "opts": [], "seq": 5, "ack": 6, "payload": record},
        "tls_info": {"type": 23, "ver": 0x0303, "len": 2, "records": 1, "data": [b"ab"]},
    }
    other = to_dict(Packet(-1, "2001:db8::1", "2001:db8::2", ICMP6, 48))
    assert other["type"] == "IPv6"
    assert other["len"] == 8
    assert other["proto"] == "ICMPV6"
    assert other["time"] == "-0.000000001"
    assert other["tcp_info"] is other["tls_info"] is None
    assert to_dict(replace(packet, time_ns=1_700_000_000_000_000_009))["time"] == "1700000000.000000009"


# What holds for any packets


@given(packets(), st.integers(1, 50))
@quick
def test_count_windows_partition(trace: list[Packet], n: int) -> None:
    kept = count_windows(trace, n, "keep")
    assert [index for window in kept for index in window] == list(range(len(trace)))
    assert count_windows(trace, n) == [window for window in kept if len(window) == n] == kept[: len(trace) // n]


@given(packets(), st.sampled_from([1, 1_000, 1_000_000, 999_999_999, 60_000_000_000, LATEST]))
@quick
def test_time_windows_partition(trace: list[Packet], width: int) -> None:
    windows = time_windows(trace, width)
    indices = [index for window in windows.values() for index in window]
    assert sorted(indices) == list(range(len(trace)))
    assert indices == sorted(indices, key=lambda index: (trace[index].time_ns, index))
    start = min((packet.time_ns for packet in trace), default=0)
    for number, window in windows.items():
        assert all(start + number * width <= trace[index].time_ns < start + (number + 1) * width for index in window)


@given(packets(), networks(min_size=0), st.integers(1, 5))
@quick
def test_client_windows_partition(trace: list[Packet], clients: list[str], n: int) -> None:
    kept = client_windows(trace, clients, n, "keep")
    pairs = [client_target(packet, clients) for packet in trace]
    assert sorted(index for _, _, window in kept for index in window) == [
        index for index, pair in enumerate(pairs) if pair
    ]
    assert all(pairs[index] == pair and window == sorted(window) for pair, _, window in kept for index in window)
    assert list(dict.fromkeys(pair for pair, _, _ in kept)) == list(dict.fromkeys(pair for pair in pairs if pair))
    assert client_windows(trace, clients, n) == [row for row in kept if len(row[2]) == n]
    for (pair, number, window), (after, next_number, _) in pairwise(kept):
        assert next_number == (number + 1 if after == pair else 0)
        assert after != pair or len(window) == n


@given(packets(), networks(min_size=0))
@quick
def test_features_are_within_their_limits(trace: list[Packet], clients: list[str]) -> None:
    features = window_features(trace, clients)
    assert features.keys() == NAMES
    assert all(isinstance(value, float) and value >= 0 for value in features.values())
    for direction in ("up", "down"):
        value = {name.removesuffix(f"_{direction}"): features[name] for name in features if name.endswith(direction)}
        ends = [(packet, packet.src if direction == "up" else packet.dst) for packet in trace if packet.protocol == TCP]
        lengths = Counter(packet.payload_length for packet, end in ends if is_client(end, clients))
        total = lengths.total()
        if not total:
            assert {name: number for name, number in value.items() if number} == {"mean_interval": 1e6}
            continue
        assert value["min_entropy"] - 1e-12 <= value["mean_entropy"] <= value["max_entropy"] + 1e-12 <= 8 + 2e-12
        assert value["push_ratio"] <= 1
        in_bins = {
            kind: total * sum(number for name, number in value.items() if name.startswith("bin") and kind in name)
            for kind in ("interval", "len")
        }
        assert in_bins["interval"] <= total - 1 + 1e-9
        pieces = sum(count * max(math.ceil(length / 1_500), 1) for length, count in lengths.items())
        assert in_bins["len"] == pytest.approx(pieces)
        top, second = (int(value[f"top{place}_tcp_len"]) for place in (1, 2))
        assert lengths[top] == max(lengths.values())
        if len(lengths) > 1:
            assert lengths[second] == max(count for length, count in lengths.items() if length != top)
        assert min(lengths) <= value["mean_tcp_len"] <= max(lengths)


@given(packets(), networks())
@quick
def test_other_way_round(trace: list[Packet], clients: list[str]) -> None:
    there = window_features(trace, clients)
    back = window_features([replace(packet, src=packet.dst, dst=packet.src) for packet in trace], clients)
    for name, value in there.items():
        if name.endswith("_up"):
            assert back[name.replace("_up", "_down")] == value
    assert there["up_down_ratio"] * back["up_down_ratio"] == pytest.approx(1 if there["up_down_ratio"] else 0)
    assert remote_and_clients(trace, clients) == remote_and_clients(
        [replace(packet, src=packet.dst, dst=packet.src) for packet in trace], clients
    )


@given(packets(), networks())
@quick
def test_features_are_the_same_backwards_and_at_any_date(trace: list[Packet], clients: list[str]) -> None:
    features = window_features(trace, clients)
    assert window_features(synchronise(trace, 7), clients) == features
    sets = [name for name in SETS if not name.startswith("interval")]
    assert window_features(trace[::-1], clients, sets).items() <= features.items()
    numbers = [packet.tcp_seq for packet in trace if packet.protocol == TCP]
    if len(set(numbers)) == len(numbers):  # nothing sent again: the same gaps backwards
        assert window_features(trace[::-1], clients) == features


@given(packets(), networks())
@quick
def test_only_tcp_counts_but_for_the_ratio(trace: list[Packet], clients: list[str]) -> None:
    with_all = window_features(trace, clients)
    only_tcp = window_features([packet for packet in trace if packet.protocol == TCP], clients)
    assert with_all | {"up_down_ratio": 0} == only_tcp | {"up_down_ratio": 0}


@given(packets(max_size=30), networks(), st.sampled_from([1_000_000, 1_000_000_000, LATEST + 1]), st.integers(1, 6))
@quick
def test_client_features_are_those_of_the_windows(trace: list[Packet], clients: list[str], width: int, n: int) -> None:
    found = client_features(trace, clients, width, n, "keep")
    keys = [key for key, _ in found]
    assert len(set(keys)) == len(keys)
    assert [k for _, _, k, _ in keys] == sorted(k for _, _, k, _ in keys)
    assert [row for row in client_features(trace, clients, width, n) if row not in found] == []
    windows = time_windows(trace, width)
    for k, indices in windows.items():
        inside = [trace[index] for index in indices]
        assert [row for row in found if row[0][2] == k] == [
            ((*pair, k, w), window_features([inside[index] for index in window], clients))
            for pair, w, window in client_windows(inside, clients, n, "keep")
        ]
    assert {k for _, _, k, _ in keys} <= set(windows)
    assert len(windows) == 1 or width <= LATEST or not trace


@given(packets(), st.integers(-LATEST, LATEST), st.booleans())
@quick
def test_synchronise_keeps_the_gaps(trace: list[Packet], target: int, sort: bool) -> None:
    shifted = synchronise(trace, target, sort)
    expected = sorted(trace, key=lambda packet: packet.time_ns) if sort else trace
    assert [packet.time_ns for packet in shifted[:1]] == [target] * bool(trace)
    assert [replace(packet, time_ns=0) for packet in shifted] == [replace(packet, time_ns=0) for packet in expected]
    assert [b.time_ns - a.time_ns for a, b in pairwise(shifted)] == [
        b.time_ns - a.time_ns for a, b in pairwise(expected)
    ]


# The strategies


@given(packets())
@quick
def test_packets_make_sense(trace: list[Packet]) -> None:
    for packet in trace:
        assert 0 <= packet.time_ns <= LATEST
        assert (":" in packet.src) == (":" in packet.dst)
        assert len(packet.payload) <= packet.payload_length < packet.ip_length <= 65_535
        assert packet.payload[1:2] == b"\x03" if packet.tls_type else True
        assert packet.protocol == TCP or not (packet.tcp_seq or packet.tcp_flags or packet.tls_type)
        seconds, nanoseconds = to_dict(packet)["time"].split(".")
        assert int(seconds) * 10**9 + int(nanoseconds) == packet.time_ns


@given(packets(1, 3, whole=True))
@quick
def test_whole_packets(trace: list[Packet]) -> None:
    assert 1 <= len(trace) <= 3
    assert all(len(packet.payload) == packet.payload_length for packet in trace)


def test_the_ugly_ones_are_drawn() -> None:
    seen: Counter[Any] = Counter()

    @given(packets(), networks())
    @settings(max_examples=200, deadline=None, derandomize=True, database=None)
    def draw(trace: list[Packet], clients: list[str]) -> None:
        steps = [b.time_ns - a.time_ns for a, b in pairwise(trace)]
        pairs = [client_target(packet, clients) for packet in trace]
        seen.update(
            {
                "hardly a packet": len(trace) < 2,
                "many packets": len(trace) >= 20,
                "at once": 0 in steps,
                "back": any(step < 0 for step in steps),
                "both families": len({":" in packet.src for packet in trace}) == 2,
                "to itself": any(packet.src == packet.dst for packet in trace),
                "between clients": any(is_client(p.src, clients) and is_client(p.dst, clients) for p in trace),
                "of no client": bool(trace) and not any(pairs),
                "one pair often": max(Counter(pair for pair in pairs if pair).values(), default=0) >= 10,
                "sent again": len({p.tcp_seq for p in trace if p.protocol == TCP}) < len(trace) - 5,
                "cut short": any(0 < len(packet.payload) < packet.payload_length for packet in trace),
                "tls": any(packet.tls_type for packet in trace),
            }
        )
        for packet in trace:
            seen.update([packet.src, packet.protocol])
            seen.update([("size", packet.payload_length), ("flags", packet.tcp_flags), ("seq", packet.tcp_seq)])
        seen.update(("step", abs(step)) for step in steps)

    draw()
    wanted = [*HOSTS[4], *HOSTS[6], TCP, UDP, ICMP, ICMP6, *(("size", size) for size in SIZES)]
    wanted += [("flags", flag) for flag in FLAGS] + [("seq", number) for number in SEQUENCES]
    wanted += [("step", step) for step in (*GAPS, FIFTY_YEARS)]
    assert [name for name in [*wanted, *seen] if not seen[name]] == []
