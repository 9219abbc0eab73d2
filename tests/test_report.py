"""The report: one page, whole, of well-formed HTML, that needs nothing from elsewhere."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from making import SECOND, capture
from PIL import Image
from reference import ICMP, TCP, UDP, Packet

import toolkit
import toolkit.report
from toolkit import NoClientError
from toolkit.report import write_report

A, X = "10.0.0.1", "192.0.2.9"
EMPTY_ELEMENTS = {"meta", "img", "br", "hr", "link", "input", "col"}


class Page(HTMLParser):
    """Reads a page, and fails where an element is closed that is not the last one opened."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.images: list[dict[str, str]] = []
        self.words: dict[str, list[str]] = {}
        self.declarations: list[str] = []
        self.source = text
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_decl(self, decl: str) -> None:
        self.declarations.append(decl)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"an attribute of <{tag}> twice"
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag == "img":
            self.images.append({name: value or "" for name, value in attrs})
        if tag not in EMPTY_ELEMENTS:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert tag not in EMPTY_ELEMENTS
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if data.strip():
            assert self.open, f"text outside of the page: {data}"
            self.words.setdefault(self.open[-1], []).append(data)

    @property
    def text(self) -> str:
        return "\n".join(word for tag, words in self.words.items() for word in words if tag != "style")

    @property
    def pictures(self) -> list[bytes]:
        return [base64.b64decode(image["src"].partition(",")[2], validate=True) for image in self.images]


def read_page(path: Path) -> Page:
    """Read a page and check what must hold for any."""
    page = Page(path.read_text("utf-8"))
    assert page.declarations == ["DOCTYPE html"]
    assert page.tags[:2] == ["html", "head"]
    assert ("meta", "charset", "utf-8") in page.attributes
    assert page.tags.count("title") == page.tags.count("h1") == 1
    # nothing from elsewhere
    for tag, name, value in page.attributes:
        assert name not in ("href", "srcset", "action", "data", "poster", "background"), (tag, name)
        assert name != "src" or value.startswith("data:image/png;base64,")
        assert not name.startswith("on")
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(page.tags)
    bare = re.sub(r'"data:image/png;base64,[^"]*"', '""', page.source)
    for outside in ("http:", "https:", "//", "url(", "@import"):
        assert outside not in bare
    # pictures
    assert len(page.images) == 7
    alts = [image["alt"] for image in page.images]
    assert len(set(alts)) == 7
    assert min(map(len, alts)) > 20
    assert page.words["figcaption"] == alts
    for data in page.pictures:
        picture: Any = Image.open(io.BytesIO(data))
        picture.load()
        assert picture.format == "PNG"
        assert min(picture.size) > 300
        assert len(picture.convert("RGB").getcolors(2**24)) > 5  # something is drawn
    # nothing about this machine
    for data in (bare.encode(), *page.pictures):
        assert str(path.parent).encode() not in data
        assert str(Path(toolkit.__file__).parent).encode() not in data
    assert not re.search(r"(?<![\w/])/(home|root|tmp|usr|work|Users|var)/", bare)
    return page


def saved(folder: Path, packets: Sequence[Packet], name: str = "made.pcapng") -> toolkit.Trace:
    path = folder / name
    path.write_bytes(capture(packets))
    return toolkit.read(path)


@pytest.fixture(scope="module")
def obfs4(tmp_path_factory: pytest.TempPathFactory) -> Page:
    path = tmp_path_factory.mktemp("pages") / "obfs4.html"
    assert write_report(toolkit.load_example("obfs4"), path) == path
    assert [each.name for each in path.parent.iterdir()] == ["obfs4.html"]
    return read_page(path)


def test_summary_and_health(obfs4: Page) -> None:
    trace = toolkit.load_example("obfs4")
    cells = obfs4.words["td"]
    for name, value in trace.summary().items():
        assert name in obfs4.words["th"]
        assert value in cells
    assert {"1,425", "6", "930,731"} <= set(cells)
    assert str(trace.health()) in obfs4.text
    assert obfs4.words["title"] == obfs4.words["h1"] == ["obfs4.pcap: what a censor could see"]
    assert f"Made by traffic-toolkit {toolkit.__version__}. obfs4.pcap: SHA-256 {trace.source.sha256}" in obfs4.text


def test_tables(obfs4: Page) -> None:
    trace = toolkit.load_example("obfs4")
    found = toolkit.overview(trace)
    cells, heads = obfs4.words["td"], obfs4.words["th"]
    for host in trace.hosts:
        assert host in heads
    for table in (found.pairs.head(20), trace.top_hosts(10)):
        for column in table:
            for value in table[column]:
                assert (f"{value:,.3f}" if isinstance(value, float) else str(value)) in cells
    assert repr(found.clusters) in obfs4.text
    assert [f"{centre:,.3f}" in cells for centre in found.clusters.centres[:20]] == [True] * 20
    assert set(toolkit.FEATURES.names) <= set(heads)
    assert f"{found.features['mean_interval_up'].mean():,.3f}" in cells
    assert "22 windows of 50 packets within 60s of one (client, target) pair" in obfs4.text


def test_guessed_clients_are_said_to_be(obfs4: Page) -> None:
    words = "Clients: 10.77.0.11, 10.77.0.12, 10.77.0.13"
    assert (
        f"{words} (not given: the hosts that open more connections than they accept, or all where none does)"
        in obfs4.text
    )


def test_a_report_is_the_same_each_time(obfs4: Page, tmp_path: Path) -> None:
    path = tmp_path / "again.html"
    write_report(toolkit.load_example("obfs4"), path)
    assert path.read_text("utf-8") == obfs4.source


def test_special_characters_of_a_name_and_findings(tmp_path: Path) -> None:
    name = "<b>a &amp; \"b\" <i> 'c' ${title} $about %s é.pcapng"
    packets = [
        Packet(i * SECOND, A, X, TCP, 40 + 900, 1, 2, i % 3, payload=b"<i>&", payload_length=900) for i in range(9)
    ]
    trace = saved(tmp_path, [*packets, packets[0]], name)
    folder = tmp_path / "pages"
    write_report(trace, folder / "page.html")  # the folder is made
    page = read_page(folder / "page.html")
    assert str(tmp_path) not in page.source
    assert page.words["h1"] == page.words["title"] == [f"{name}: what a censor could see"]
    assert name in page.words["td"]
    assert not {"b", "i"} & set(page.tags)
    health = trace.health()
    assert len(health.found) > 2
    for finding in health.found:
        assert finding.meaning in page.words["td"]  # whole
        assert f"{finding.count:,} of {finding.of:,} {finding.unit}" in page.words["td"]


def sixty_hosts() -> list[Packet]:
    packets = []
    for i in range(3_000):
        client, server = f"10.0.0.{i % 60 + 1}", f"192.0.2.{i % 7}"
        src, dst, ports = (client, server, (40_000, 443)) if i // 60 % 4 != 1 else (server, client, (443, 40_000))
        payload = bytes(i % 200)
        packets.append(Packet(i * SECOND // 50, src, dst, TCP, 40 + len(payload), *ports, i, 0, 16, payload=payload))
    return packets


def ipv6(i: int) -> Packet:
    return Packet(i * SECOND // 9, "2001:db8::1", "2001:db8::2", TCP, 60 + i, 1, 80, i, 0, 24, payload=bytes(i))


UGLY: dict[str, list[Packet]] = {
    "no packet": [],
    "one packet": [Packet(5, A, X, TCP, 40, 1, 80, tcp_flags=2)],
    "IPv6": [ipv6(i) for i in range(120)],
    "60 hosts": sixty_hosts(),
    "UDP": [Packet(i * SECOND, A, X, UDP, 33, 40_000, 53, payload=b"hello") for i in range(60)],
    "ICMP": [Packet(i, A, X, ICMP, 28) for i in range(3)],
    "a clock that jumps": [Packet(i % 2 * 2**62, A, X, TCP, 41, 1, 80, i, payload=b"a") for i in range(80)],
}


@pytest.mark.parametrize("kind", UGLY)
def test_ugly_traces(tmp_path: Path, kind: str) -> None:
    trace = saved(tmp_path, UGLY[kind])
    path = tmp_path / "pages" / "page.html"
    write_report(trace, path)
    page = read_page(path)
    assert f"{len(UGLY[kind]):,}" in page.words["td"]
    assert ("<p>none</p>" in page.source) == (len(toolkit.overview(trace).features) == 0)
    if kind == "60 hosts":
        assert page.text.count("10.0.0.") >= 60 + 20  # all of them said to be clients, the busiest pairs
        assert trace.source.sha256 in page.text


def test_packets_of_no_file_and_of_several(tmp_path: Path) -> None:
    dictionaries = toolkit.load_example("obfs4")[:200].to_packets()
    write_report(toolkit.Trace.from_packets(dictionaries), tmp_path / "none.html")
    page = read_page(tmp_path / "none.html")
    assert page.words["h1"] == ["packets: what a censor could see"]
    assert "SHA-256" not in page.text
    both = toolkit.concat([toolkit.load_example("obfs4"), toolkit.load_example("https")])
    write_report(both, str(tmp_path / "two.html"), clients=iter(["10.77.0.11", "10.77.0.12/31"]))
    page = read_page(tmp_path / "two.html")
    assert "Clients: 10.77.0.11, 10.77.0.12/31\n" in page.text
    assert "not given" not in page.text
    assert page.words["h1"] == ["obfs4.pcap, https.pcap: what a censor could see"]
    assert page.text.count("SHA-256") == 2


# Failing


def fail(*_: Any, **__: Any) -> Any:
    raise RuntimeError("in the middle of it")


def test_a_failure_leaves_the_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.html"
    path.write_text("the old page")
    trace = toolkit.load_example("obfs4")
    with pytest.raises(NoClientError, match=r"no packet has a client in 192.0.2.0/24"):
        write_report(trace, path, clients="192.0.2.0/24")
    monkeypatch.setattr(toolkit.report, "_charts", fail)
    with pytest.raises(RuntimeError, match="in the middle of it"):
        write_report(trace, path)
    monkeypatch.undo()
    monkeypatch.setattr(toolkit.report, "_render", lambda _: "half a page \ud800")  # cannot be written
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        write_report(trace, path)
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("page.html", "the old page")]


def test_a_page_replaces_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "page.html"
    path.write_text("the old page")
    monkeypatch.setattr(toolkit.report, "_render", lambda page: f"new, of {', '.join(page.clients)}, in UTF-8: µ")
    assert write_report(toolkit.load_example("obfs4"), path, clients="10.77.0.11") == path
    assert path.read_bytes() == "new, of 10.77.0.11, in UTF-8: µ".encode()
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(OSError, match=r"page\.html"):
        write_report(toolkit.load_example("obfs4"), path / "below.html")
