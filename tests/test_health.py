"""Each finding of the health report, made on purpose and counted."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from writer import Frame, ipv4, link, pcap, tcp, udp

import toolkit

A, B = "10.0.0.1", "192.0.2.7"


def segment(
    src: str = A, dst: str = B, *, payload: bytes = b"abc", seq: int = 1, ident: int = 0, port: int = 1000, **more: int
) -> bytes:
    """Give an Ethernet frame; the client's port is `port`, the other's 443."""
    ports = (port, 443) if src == A else (443, port)
    body = tcp(*ports, payload, seq=seq, checksum_for=(src, dst), **more)  # type: ignore[arg-type]
    return link(1, ipv4(src, dst, 6, body, ident=ident))


def health(tmp_path: Path, frames: list[Frame], **options: int) -> dict[str, int]:
    path = tmp_path / "made.pcap"
    path.write_bytes(pcap(frames, **options))  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", toolkit.CaptureWarning)
        found = toolkit.read(path).health().found
    # no connection here begins with a SYN, but where that is the question
    return {finding.name: finding.count for finding in found if finding.name != "no opening"}


def frames(*data: bytes) -> list[Frame]:
    return [Frame(item, i * 1000) for i, item in enumerate(data)]


BOTH = [segment(), segment(B, A)]  # a connection with two sides, nothing wrong


def test_nothing_wrong(tmp_path: Path) -> None:
    assert health(tmp_path, frames(*BOTH)) == {}


def test_no_opening(tmp_path: Path) -> None:
    path = tmp_path / "made.pcap"
    syn = segment(payload=b"", flags=2, port=2000)
    answer = segment(B, A, payload=b"", flags=18, port=3000)  # the server's answer only
    path.write_bytes(pcap(frames(*BOTH, syn, segment(port=2000, seq=2), answer)))
    finding = toolkit.read(path).health()["no opening"]
    assert (finding.count, finding.of) == (2, 3)


def test_a_damaged_file_is_found_to_be_so(tmp_path: Path) -> None:
    path = tmp_path / "made.pcap"
    path.write_bytes(pcap(frames(*BOTH))[:-3])
    with pytest.warns(toolkit.CaptureWarning):
        trace = toolkit.read(path)
    finding = trace.health()["file faults"]
    assert (finding.count, finding.of) == (1, 1)
    whole = toolkit.concat([trace, toolkit.load_example("obfs4")]).health()["file faults"]
    assert (whole.count, whole.of) == (1, 2)
    assert str(tmp_path) not in trace.health()._repr_html_()


def test_non_ip(tmp_path: Path) -> None:
    arp = bytes(12) + b"\x08\x06" + bytes(28)
    assert health(tmp_path, frames(*BOTH, arp, arp)) == {"non-IP frames": 2}


def test_unknown_link_type(tmp_path: Path) -> None:
    assert health(tmp_path, frames(b"x" * 60), linktype=147) == {"file faults": 1, "unknown link type": 1}


def test_no_whole_and_bad_ip_header(tmp_path: Path) -> None:
    cut = Frame(BOTH[0][:30], 5000, wire_length=len(BOTH[0]))
    bad = bytearray(BOTH[0])
    bad[14] = 0x44  # a header of 16 bytes
    assert health(tmp_path, [*frames(*BOTH, bytes(bad)), cut]) == {"no whole IP header": 1, "bad IP header": 1}


def test_truncated_inside_the_tcp_header(tmp_path: Path) -> None:
    cut = Frame(BOTH[0][: 14 + 20 + 10], 5000, wire_length=len(BOTH[0]))
    assert health(tmp_path, [*frames(*BOTH), cut])["truncated"] == 1


def test_malformed_tcp_header(tmp_path: Path) -> None:
    assert health(tmp_path, frames(*BOTH, segment(seq=9, data_offset=4)))["malformed"] == 1


def test_payload_cut_names_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "snapped.pcap"
    long = [segment(payload=bytes(range(100))), segment(B, A, payload=bytes(range(50)))]
    path.write_bytes(pcap([Frame(data[: 54 + 10], 0, wire_length=len(data)) for data in long]))
    finding = toolkit.read(path).health()["payload cut"]
    assert (finding.count, finding.of, finding.share) == (2, 2, 1.0)
    assert finding.meaning.startswith("130 payload bytes are not in the file")  # 90 and 40


def test_frames_that_offload_put_together(tmp_path: Path) -> None:
    at_limit = segment(payload=bytes(1600 - 54), seq=100)
    above = segment(payload=bytes(1601 - 54), seq=9000)
    assert health(tmp_path, frames(*BOTH, at_limit, above)) == {"frames above 1,600 bytes": 1}


def test_times_going_back(tmp_path: Path) -> None:
    times = [5, 5, 4, 6, 1]
    made = [Frame(segment(A, B, seq=10 * i) if i else BOTH[1], t * 10**9) for i, t in enumerate(times)]
    assert health(tmp_path, made) == {"times going back": 2}


@pytest.mark.parametrize(
    ("again", "found"),
    [
        ({"ident": 7}, "duplicate"),  # the very same packet
        ({"ident": 8}, "retransmitted"),  # sent anew
        ({"ident": 7, "payload": b"abcdef"}, "retransmitted"),  # with more data
        ({"ident": 7, "seq": 4}, ""),  # the next segment
        ({"ident": 7, "port": 1001}, "one-sided connections"),  # of another connection
    ],
)
def test_duplicate_and_retransmitted(tmp_path: Path, again: dict[str, int], found: str) -> None:
    made = frames(segment(ident=7), segment(B, A, ident=3), segment(**again))
    assert health(tmp_path, made) == ({found: 1} if found else {})


def test_without_identification_a_copy_counts_as_sent_again(tmp_path: Path) -> None:
    assert health(tmp_path, frames(*BOTH, BOTH[0])) == {"retransmitted": 1}


def test_empty_segments_are_not_sent_again(tmp_path: Path) -> None:
    assert health(tmp_path, frames(*BOTH, *[segment(payload=b"", seq=4)] * 3)) == {}


def test_one_sided_connections_out_of_many(tmp_path: Path) -> None:
    # enough connections that the table of them grows; every third has no answer
    made = []
    for port in range(1, 3001):
        made.append(segment(port=port))
        if port % 3:
            made.append(segment(B, A, port=port))
    path = tmp_path / "many.pcap"
    path.write_bytes(pcap(frames(*made)))
    finding = toolkit.read(path).health()["one-sided connections"]
    assert (finding.count, finding.of) == (1000, 3000)


def test_checksum_offload(tmp_path: Path) -> None:
    partial = link(1, ipv4(A, B, 6, tcp(1000, 443, b"abc", seq=50, checksum_for=(A, B), partial=True)))
    datagram = link(1, ipv4(A, B, 17, udp(1000, 53, b"abcd", checksum_for=(A, B), partial=True)))
    assert health(tmp_path, frames(*BOTH, partial, datagram)) == {"checksum offload": 2}


def test_the_forms_of_the_report(tmp_path: Path) -> None:
    path = tmp_path / "made.pcap"
    path.write_bytes(pcap(frames(*BOTH, BOTH[0])))
    report = toolkit.read(path).health()
    table = report.to_frame()
    assert len(table) == len(report) == 16
    assert table.loc["retransmitted", ["count", "share"]].tolist() == [1, pytest.approx(1 / 3)]
    assert str(report).startswith("retransmitted: 1 (33.33% of TCP segments with payload). ")
    assert str(report).endswith("(14 other things looked for: none found)")
    shown = report._repr_html_()
    assert "<td>retransmitted</td><td>1</td>" in shown
    # sentences wrap and stand to the left, in the colours of the notebook's theme
    wrapping = "text-align:left;white-space:normal;max-width:45em"
    assert shown.count(f"<td style='{wrapping}'>") == len(report.found) == 2
    assert f"<th style='{wrapping}'>meaning</th>" in shown
    assert "color" not in shown
    with pytest.raises(KeyError, match="no finding 'loss'"):
        report["loss"]
