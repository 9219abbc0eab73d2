"""The table beside an anonymised capture: written, found, checked, missed."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import writer
from anonymising import KEY, no_pyarrow, public
from capturing import ENDS, START, read, same_columns, sent_tcp
from wiresharking import column_differences, tshark
from writer import Frame

import toolkit
from toolkit import CaptureWarning
from toolkit.capture.beside import payload_table, table_path
from toolkit.recipes import Capture
from toolkit.standard_figures import make_figure


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return toolkit.write_anonymised(toolkit.load_example("https"), tmp_path / "public.pcap", key=KEY)


def test_the_table_has_what_is_needed_and_nothing_else(written: Path) -> None:
    trace = toolkit.load_example("https")
    table = pd.read_parquet(table_path(written))
    assert {name: str(kind) for name, kind in table.dtypes.items()} == {
        "time": "datetime64[ns, UTC]",
        "payload_length": "int32",
        "tls_type": "uint8",
        "entropy": "float64",
    }
    assert table["entropy"].tolist() == toolkit.payload_entropy(trace).tolist()
    assert table["tls_type"].tolist() == trace.column("tls_type").tolist()
    assert table["tls_type"].any()
    assert sorted(os.listdir(written.parent)) == ["public.pcap", "public.pcap.payload.parquet"]


def test_what_is_read_has_the_entropy_and_the_types(written: Path) -> None:
    same, again = public("https"), toolkit.read(written, strict=True)
    same_columns(same, again)
    assert toolkit.payload_entropy(again).tolist() == toolkit.payload_entropy(same).tolist()
    assert not again.column("tls_type").flags.writeable
    # written on, it has a table again; without, the earlier one goes
    part = again[:100].to_pcap(written.with_name("part.pcap"))
    assert toolkit.payload_entropy(toolkit.read(part)).tolist() == toolkit.payload_entropy(same)[:100].tolist()
    toolkit.load_example("obfs4").to_pcap(part)
    assert sorted(os.listdir(written.parent)) == ["part.pcap", "public.pcap", "public.pcap.payload.parquet"]


def test_the_table_is_found_when_the_capture_is_compressed(written: Path) -> None:
    packed = written.with_name("public.pcap.gz")
    packed.write_bytes(gzip.compress(written.read_bytes(), 1))
    written.unlink()
    assert toolkit.payload_entropy(toolkit.read(packed, strict=True)).max() > 7


SHORT = int(np.argmax(toolkit.load_example("https").column("payload_captured") == 31))


def at(table: pd.DataFrame, row: int, **values: Any) -> pd.DataFrame:
    """Change some values in a row."""
    for name, value in values.items():
        column = table[name].to_numpy(copy=True)
        column[row] = value
        table = table.assign(**{name: column})
    return table


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda table: table[1:], "a table of "),
        (lambda table: table[::-1], "another time or payload length in row 0"),
        (lambda table: table.assign(payload_length=table["payload_length"] + (table.index == 5)), "in row 5"),
        (lambda table: table.assign(entropy=table["entropy"] - 1), "an entropy that is not from 0 to 8"),
        (lambda table: table.assign(entropy=np.nan), "an entropy that is not from 0 to 8"),
        (lambda table: table.drop(columns="tls_type"), "tls_type"),
        (lambda table: table.assign(entropy="much"), "could not convert"),
        (None, "a file that is no Parquet table"),
        # row 0 has no payload, row 3 has one of 517 bytes that starts a TLS record
        (lambda table: at(table, 0, entropy=0.25), r"entropy of 0\.250 in row 0, where 0 bytes have at most 0\.000"),
        (lambda table: at(table, SHORT, entropy=8.0), rf"8\.000 in row {SHORT}, where \d+ bytes have at most [34]\."),
        (lambda table: at(table, 0, tls_type=23), "TLS type 23 in row 0, where there is no such record in 0 bytes"),
        (lambda table: at(table, 3, tls_type=25), "TLS type 25 in row 3"),
        (lambda table: at(table, 3, tls_type=19), "TLS type 19 in row 3"),
    ],
)
def test_a_table_that_does_not_fit_is_not_taken(written: Path, change: Any, found: str) -> None:
    path = table_path(written)
    if change is None:
        path.write_bytes(b"not a table at all")
    else:
        table = change(pd.read_parquet(path))
        table.assign(payload_length=table["payload_length"].astype("int32")).to_parquet(path)
    with pytest.warns(CaptureWarning, match=f"{path.name}, found .*{found}.*; entropy and TLS types are of the bytes"):
        trace = toolkit.read(written)
    assert trace.kept_entropy is None
    assert not trace.column("tls_type").any()
    assert trace.source.problems == ()  # nothing is wrong with the capture
    assert (trace.source.payload_table, trace.source.payload_sha256) == ("", "")
    assert [finding.name for finding in trace.health().found if finding.name.startswith(("file", "payload"))] == [
        "payload of zeros"
    ]
    with pytest.raises(toolkit.CaptureError, match=found):
        toolkit.read(written, strict=True)


def test_a_table_without_pyarrow_is_said(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pandas.io.parquet.import_optional_dependency", no_pyarrow)
    with pytest.warns(CaptureWarning, match="that pyarrow is not installed"):
        toolkit.read(written)


def test_what_to_do_about_a_table_that_does_not_fit(written: Path) -> None:
    table_path(written).write_bytes(b"PAR1 and no more")
    with pytest.warns(CaptureWarning) as caught:
        trace = toolkit.read(written)
    assert len(caught) == 1  # that every byte is zero is no news then
    said = str(caught[0].message)
    assert f"in {table_path(written).name}, found a table that cannot be read: " in said
    assert said.endswith(": put its own table there, or remove this one")
    assert str(written.parent) not in said.removeprefix(str(written))
    assert trace.health()["payload of zeros"].count == 715


# A table beside payload


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Write a capture half of which has lost its payload, beside its table."""
    both = toolkit.concat([public("https"), toolkit.load_example("https")])
    return toolkit.write_anonymised(both, tmp_path / "half.pcap", key=KEY, keep_payload=True)


def test_a_table_that_says_what_the_bytes_say_is_taken(kept: Path) -> None:
    entropy = toolkit.payload_entropy(toolkit.load_example("https"))
    again = toolkit.read(kept, strict=True)
    assert toolkit.payload_entropy(again).tolist() == [*entropy, *entropy]


@pytest.mark.parametrize(
    ("row", "values", "found"),
    [
        (
            1_219 + 3,
            {"entropy": 5.0},
            "entropy 5.000 and TLS type 22 in row 1222, .* bytes of entropy 4.466 and TLS type 22",
        ),
        (1_219 + 5, {"entropy": 0.0}, "entropy 0.000 and TLS type 22 in row 1224, "),
        (1_219 + 5, {"tls_type": 23}, "TLS type 23 in row 1224, .* and TLS type 22"),
        (1_219 + 5, {"tls_type": 0}, "TLS type 0 in row 1224, .* and TLS type 22"),
    ],
)
def test_a_table_that_contradicts_the_bytes_is_not_taken(kept: Path, row: int, values: Any, found: str) -> None:
    path = table_path(kept)
    at(pd.read_parquet(path), row, **values).to_parquet(path)
    with pytest.warns(CaptureWarning, match=found):
        trace = toolkit.read(kept)
    assert trace.kept_entropy is None
    assert trace.source.zero_payloads == 0  # half of it has payload
    with pytest.raises(toolkit.CaptureError, match="where the capture has payload bytes"):
        toolkit.read(kept, strict=True)


def test_bytes_that_are_all_the_same_are_bytes_as_well(tmp_path: Path) -> None:
    path = tmp_path / "same.pcap"
    path.write_bytes(writer.pcap([Frame(sent_tcp(b"\xff" * 40).packet, START)], linktype=101, resolution="ns"))
    trace = toolkit.read(path)
    payload_table(trace).assign(entropy=1.5).to_parquet(table_path(path))
    with pytest.warns(CaptureWarning, match="entropy 1.500 and TLS type 0 in row 0, .* of entropy 0.000"):
        assert toolkit.payload_entropy(toolkit.read(path)).tolist() == [0]


def test_the_history_names_the_table(written: Path) -> None:
    assert toolkit.read(written).history == ("read public.pcap, its payloads from public.pcap.payload.parquet",)
    assert toolkit.read(toolkit.example("https").path).history == ("read https.pcap",)


# Other engines


@pytest.mark.parametrize("engine", ["tshark", "pyshark"])
def test_other_engines_take_it_as_well(written: Path, engine: Any) -> None:
    tshark()
    own, other = toolkit.read(written), toolkit.read(written, engine=engine, strict=True)
    assert toolkit.payload_entropy(other).tolist() == toolkit.payload_entropy(own).tolist()
    assert column_differences(own, other) == {}
    assert own.column("tls_type").any()
    assert other.history == (f"read public.pcap by {engine}, its payloads from public.pcap.payload.parquet",)
    fields = toolkit.read(written, engine=engine, display_filter="tcp.len > 500", fields="tcp.len")
    assert toolkit.payload_entropy(fields).max() > 7
    table_path(written).write_bytes(b"no table")
    with pytest.warns(CaptureWarning, match="found a file that is no Parquet table"):
        assert toolkit.read(written, engine=engine).kept_entropy is None
    table_path(written).unlink()
    with pytest.warns(CaptureWarning, match="nothing but zeros in the payload of 715 packets") as caught:
        assert toolkit.read(written, engine=engine, strict=True).source.zero_payloads == 715
    assert caught[0].filename == __file__


def test_other_engines_do_not_know_the_payload_of_a_reset(tmp_path: Path) -> None:
    tshark()
    sent = [sent_tcp(b"hello").packet, sent_tcp(b"\x17\x03\x03\0\x05hello", flags=4, seq=5).packet]
    trace = read(writer.pcap([Frame(packet, START) for packet in sent], linktype=101))
    path = toolkit.write_anonymised(trace, tmp_path / "reset.pcap", key=KEY)
    other = toolkit.read(path, engine="tshark", strict=True)
    assert other.column("payload_captured").tolist() == [5, 0]
    assert toolkit.payload_entropy(other).tolist() == toolkit.payload_entropy(trace).tolist()
    assert other.column("tls_type").tolist() == [0, 23]


# No table


def test_a_table_that_is_not_there_is_missed(written: Path) -> None:
    table_path(written).unlink()
    expected = (
        f"{written}: expected payload, found nothing but zeros in the payload of 715 packets, and no table "
        "public.pcap.payload.parquet that says what was there; entropy and TLS types are those of zeros. If the "
        "capture was anonymised, put that table, which was written with it, beside it and read again; if zeros were "
        "sent, as some speed tests do, all is well"
    )
    for strict in (False, True):  # it may be so
        with pytest.warns(CaptureWarning) as caught:
            trace = toolkit.read(written, strict=strict)
        assert [str(one.message) for one in caught] == [expected]
        assert caught[0].filename == __file__
    assert trace.source.problems == ()
    finding = trace[:5].health()["payload of zeros"]
    assert (finding.count, finding.of) == (715, 1_219)
    assert trace.health()["file faults"].count == 0


@pytest.mark.parametrize(
    ("payloads", "zeros"),
    [
        ([b"", b"\0\0"], 1),
        ([b"\0\0", b"\0", bytes(70_000 - 40)], 3),
        ([b"\0", b"\0", b""], 0),  # of single bytes no table could say more
        ([bytes(1_000), bytes(999) + b"\1"], 0),
        ([b"\1", bytes(1_000)], 0),
        ([b"\0\1"], 0),
        ([], 0),
    ],
)
@pytest.mark.parametrize("packed", ["none", "gzip"])
def test_only_if_every_byte_is_zero(tmp_path: Path, payloads: list[bytes], zeros: int, packed: str) -> None:
    path = tmp_path / "made.pcap"
    bodies = [writer.tcp(1, 2, payload, seq=i) for i, payload in enumerate(payloads)]
    packets = [
        writer.ipv4(*ENDS[4], 6, body, total_length=len(body) + 20 if len(body) < 60_000 else 0) for body in bodies
    ]
    data = writer.pcap([Frame(packet, START) for packet in packets], linktype=101)
    path.write_bytes(writer.compress(data, packed))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert toolkit.read(path).source.zero_payloads == zeros
    assert len(caught) == (zeros > 0)


def test_what_the_snap_length_left_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "made.pcap"
    packet = sent_tcp(bytes(10) + b"payload").packet
    for size, zeros in ((40, 0), (50, 1), (51, 0)):
        path.write_bytes(writer.pcap([Frame(packet[:size], START, len(packet))], linktype=101))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert toolkit.read(path).source.zero_payloads == zeros
        assert len(caught) == (zeros > 0)


@pytest.mark.parametrize("name", toolkit.examples().index)
def test_real_captures_have_payload(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert toolkit.read(toolkit.example(name).path).source.zero_payloads == 0


def test_a_figure_says_from_which_table_its_payloads_are(written: Path, tmp_path: Path) -> None:
    trace = toolkit.read(written)
    table = table_path(written)
    assert trace.source.payload_sha256 == hashlib.sha256(table.read_bytes()).hexdigest()
    captures = [Capture("public", trace, tuple(trace.hosts[:1]))]
    record = make_figure("entropy", captures, folder=tmp_path / "figures").with_suffix(".json")
    (of,) = json.loads(record.read_text())["traces"]
    assert of["payload_table"] == {"name": table.name, "sha256": trace.source.payload_sha256}
    assert str(toolkit.verify_figure(record, [written])) == "entropy: the same to the byte"
    kept = pd.read_parquet(table)
    kept.assign(entropy=kept["entropy"] / 2).to_parquet(table)
    said = str(toolkit.verify_figure(record, [written]))
    assert said.startswith(f"entropy: the table with the payloads of {written.name} was another one: SHA-256 ")
    table.unlink()
    with pytest.warns(CaptureWarning, match="nothing but zeros"):
        without = toolkit.read(written)
    assert str(toolkit.verify_figure(record, [without])).endswith(f"{trace.source.payload_sha256[:12]}…, now none")
    captures = [Capture("public", without, tuple(trace.hosts[:1]))]
    record = make_figure("entropy", captures, folder=tmp_path / "zeros").with_suffix(".json")
    assert json.loads(record.read_text())["traces"][0]["payload_of_zeros"] == without.source.zero_payloads > 700


def test_a_link_leads_to_the_table_too(written: Path, tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    link = folder / "other name.pcap"
    link.symlink_to(written)
    assert toolkit.read(link).source.payload_table == table_path(written).name
    table_path(link).write_bytes(b"its own")
    with pytest.warns(CaptureWarning, match=f"payloads of this capture in {table_path(link).name}, found a file that"):
        toolkit.read(link)


@pytest.mark.parametrize(
    ("display_filter", "fields", "said"),
    [
        ("tls.handshake.type == 1", (), "tls.handshake.type"),
        ("tcp and tls", ["tls.record.length", "data.len"], "tls, tls.record.length, data.len"),
        ("tcp.payload contains 16:03", (), "tcp.payload"),
        ('http.host == "ip.example" or !dns', (), "http.host, dns"),
        ("tcp.port in {443, 8080} and ip.addr == 10.0.0.0/8 and not ipv6", ["tcp.flags", "frame.len"], ""),
        ('tcp.len > 0 && eth.src[0:3] == aa:bb:cc && frame contains "http.host"', (), ""),
        (None, ["tcp.stream", "udp.length"], ""),
    ],
)
def test_wireshark_reads_zeros(display_filter: str | None, fields: Any, said: str, written: Path) -> None:
    tshark()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        toolkit.read(written, display_filter=display_filter, fields=fields)
        toolkit.read(toolkit.example("https").path, display_filter=display_filter, fields=fields)
    messages = [str(one.message) for one in caught]
    expected = f"{written}: expected payload for Wireshark to look into, found zeros, of which "
    expected += f"{table_path(written).name} says what they were; what Wireshark says of {said} is of these zeros"
    assert messages == ([expected] if said else [])
    if said:
        table_path(written).unlink()
        with pytest.warns(CaptureWarning) as both:
            toolkit.read(written, display_filter=display_filter, fields=fields)
        assert "found nothing but zeros; what Wireshark says" in str(both[1].message)
    assert all(one.filename == __file__ for one in caught)


@pytest.mark.parametrize("engine", ["tshark", "pyshark"])
def test_other_engines_take_it_where_they_see_another_length(engine: Any, tmp_path: Path) -> None:
    """An IPv6 length of 0, a UDP length of more than there is room for."""
    tshark()
    good = [writer.link("ethernet", sent_tcp(bytes(range(n)), seq=n).packet) for n in range(1, 50)]
    offload = writer.ipv6(*ENDS[6], 6, writer.tcp(1, 2, bytes(range(200))), payload_length=0)
    long = bytearray(writer.ipv4(*ENDS[4], 17, writer.udp(1, 2, bytes(range(90)))))
    long[24:26] = (5_000).to_bytes(2, "big")
    made = [
        Frame(data, START + i)
        for i, data in enumerate([*good, *(writer.link(1, bytes(each)) for each in (offload, long))])
    ]
    trace = read(writer.pcap(made, resolution="ns"))
    path = toolkit.write_anonymised(trace, tmp_path / "public.pcap", key=KEY)
    other = toolkit.read(path, engine=engine)
    assert other.source.payload_table == table_path(path).name
    assert toolkit.payload_entropy(other).tolist() == toolkit.payload_entropy(trace).tolist()
    table = pd.read_parquet(table_path(path))
    table["payload_length"] = table["payload_length"] + 1
    table.astype({"payload_length": "int32"}).to_parquet(table_path(path))
    with pytest.warns(CaptureWarning, match="another time or payload length in row 0"):
        toolkit.read(path)
