"""The reference itself, against numbers worked out by hand."""

from __future__ import annotations

import pytest
from reference import (
    Packet,
    client_windows,
    count_windows,
    entropy,
    length_bin,
    pair,
    synchronise,
    time_windows,
    window_features,
)

A, B, C = "10.0.0.1", "192.0.2.7", "10.0.0.2"


def test_entropy() -> None:
    assert entropy(b"") == 0
    assert entropy(b"aaaa") == 0
    assert entropy(b"aabb") == 1  # two values at 1/2
    assert entropy(b"aabc") == 1.5  # 1/2 * 1 + 2 * 1/4 * 2
    assert entropy(bytes(range(256))) == 8


@pytest.mark.parametrize(
    ("length", "bins"),
    [
        (0, {100: 1}), (99, {100: 1}), (100, {200: 1}), (1499, {1500: 1}), (1500, {1500: 1}),
        (1600, {1500: 1, 200: 1}), (3000, {1500: 2}), (4499, {1500: 3}), (65_000, {1500: 43, 600: 1}),
    ],
)  # fmt: skip
def test_length_bins(length: int, bins: dict[int, int]) -> None:
    # 4499 = 2 * 1500 + 1499: twice in the last bin, and once more for 1499; 65000 = 43 * 1500 + 500
    assert dict(length_bin(length)) == bins


def test_windows() -> None:
    assert count_windows([0, 1, 2, 3, 4], 2) == [[0, 1], [2, 3]]
    assert count_windows([0, 1, 2, 3, 4], 2, "keep") == [[0, 1], [2, 3], [4]]
    assert count_windows([0], 2) == []
    times = [Packet(time, A, B) for time in (20, 10, 29, 30, 59)]
    assert time_windows(times, 10) == {0: [1], 1: [0, 2], 2: [3], 4: [4]}


def test_pairs() -> None:
    assert pair(Packet(0, A, B), ["10.0.0.0/8"]) == (A, B)
    assert pair(Packet(0, B, A), ["10.0.0.0/8"]) == (A, B)
    assert pair(Packet(0, A, C), [C, A]) == (C, A)  # the first network decides
    assert pair(Packet(0, A, C), ["10.0.0.0/8"]) == (A, C)  # then the source
    assert pair(Packet(0, B, B), ["10.0.0.0/8"]) is None
    assert pair(Packet(0, "::10.0.0.1", "::1"), ["10.0.0.0/8", "0.0.0.0/0"]) is None
    packets = [Packet(0, A, B), Packet(1, C, B), Packet(2, B, A), Packet(3, B, C), Packet(4, A, B)]
    assert client_windows(packets, ["10.0.0.0/8"], 2) == [((A, B, 0, 0), [0, 2]), ((C, B, 0, 0), [1, 3])]


def test_features_by_hand() -> None:
    ms = 1_000_000
    window = [
        Packet(0, A, B, tcp_seq=1, tcp_flags=24, payload=b"ab"),  # 1 bit
        Packet(2 * ms, A, B, tcp_seq=1, tcp_flags=16, payload=b"ab"),  # sent again: no gap
        Packet(1 * ms, A, B, tcp_seq=3, tcp_flags=2, payload=b""),  # 1 ms after the first, 0 bits, no ACK
        Packet(1 * ms, B, A, protocol=17),
        Packet(3 * ms, B, A, tcp_seq=1, tcp_flags=16, payload=bytes(1600)),
    ]
    values = window_features(window, [A])
    assert values["mean_entropy_up"] == pytest.approx(2 / 3)
    assert (values["max_entropy_up"], values["min_entropy_up"]) == (1, 0)
    assert values["mean_interval_up"] == 1_000
    assert values["bin_1000_interval_up"] == 0
    assert values["bin_10000_interval_up"] == pytest.approx(1 / 3)
    assert values["mean_interval_down"] == 1_000_000
    assert (values["top1_tcp_len_up"], values["top2_tcp_len_up"]) == (2, 0)
    assert values["mean_tcp_len_up"] == pytest.approx(4 / 3)
    assert (values["top1_tcp_len_down"], values["top2_tcp_len_down"]) == (1600, 0)
    assert values["bin_100_len_up"] == 1
    assert (values["bin_1500_len_down"], values["bin_200_len_down"]) == (1, 1)
    assert values["push_ratio_up"] == 0.5
    assert values["push_ratio_down"] == 0
    assert values["up_down_ratio"] == 1.5  # three up, two down, one of them UDP
    assert len(values) == 55


def test_equally_common_lengths_go_to_the_shorter() -> None:
    window = [Packet(0, A, B, payload=bytes(n)) for n in (7, 5, 5, 7, 9)]
    values = window_features(window, [A])
    assert (values["top1_tcp_len_up"], values["top2_tcp_len_up"]) == (5, 7)


def test_an_empty_window() -> None:
    values = window_features([], [A])
    assert {name: value for name, value in values.items() if value} == {
        "mean_interval_up": 1_000_000,
        "mean_interval_down": 1_000_000,
    }


def test_synchronise() -> None:
    packets = [Packet(7, A, B), Packet(5, A, B), Packet(9, A, B)]
    assert [packet.time_ns for packet in synchronise(packets, 100)] == [100, 98, 102]
    assert [packet.time_ns for packet in synchronise(packets, 100, sort=True)] == [100, 102, 104]
