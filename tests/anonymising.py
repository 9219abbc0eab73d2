"""What the tests of anonymised captures share: a key, pseudonyms, and captures full of secrets."""

from __future__ import annotations

import random
import struct
from functools import cache
from ipaddress import ip_address
from typing import Any

import writer
from capturing import ENDS, START
from writer import LINKS, Frame

import toolkit
from toolkit import Trace
from toolkit.cryptopan import pseudonyms
from toolkit.hosts import Hosts

KEY = bytes(range(32))


def mapped(listed: list[str], key: bytes = KEY) -> list[str]:
    hosts, number = Hosts.from_strings(listed)
    names = pseudonyms(hosts, key).names
    return [names[i] for i in number]


NEW = tuple(mapped(list(ENDS[4])))


@cache
def public(name: str) -> Trace:
    return toolkit.anonymise(toolkit.load_example(name), key=KEY)


def no_pyarrow(*_: Any, **__: Any) -> None:
    raise ImportError("no pyarrow")


ADDRESSES = "ff" * 12
WLAN = "33bc ffff" + "ff" * 18 + "f0ff"
WLAN_QUALITY = "333c ffff" + "ff" * 18 + "f0ff 7fff"
SECRET_BITS = {
    # of the headers that `writer` makes, up to the last secret
    "ethernet hsr": ADDRESSES + "0000 ffffffff",
    "ethernet metadata": ADDRESSES + "0000 ffffffff ffff",
    "ethernet 802.1ah": ADDRESSES + "0000 ffffffff" + ADDRESSES,
    "ethernet trill": ADDRESSES + "0000 f83f ffff ffff" + ADDRESSES,
    "ethernet trill options": ADDRESSES + "0000 f83f ffff ffff ffffffff" + ADDRESSES,
    "ethernet macsec": ADDRESSES + "0000 53ff ffffffff",
    "ethernet macsec sci": ADDRESSES + "0000 53ff ffffffff" + "ff" * 8,
    "ethernet arista 64": ADDRESSES + "0000 0000 0000" + "ff" * 8,
    "ethernet arista 48": ADDRESSES + "0000 0000 0000" + "ff" * 6,
    "ethernet nsh": ADDRESSES + "0000 ffc0f000" + "ff" * 20,
    "ethernet nsh ethernet": ADDRESSES + "0000 ffc0f000" + "ff" * 20 + ADDRESSES,
    "token ring": "ff3f ffffffffffff 7fffffffffff",
    "token ring routed": "ff3f ffffffffffff 7fffffffffff e0ff",
    "fddi": "0f" + ADDRESSES,
    "frame relay": "fefe",
    "frame relay snap": "fefe",
    "frame relay cisco": "fefe",
    "frame relay cisco long": "fefefe",
    "solaris ipnet": "0000 ffff 00000000" + "ff" * 16,
    "ip over infiniband": "ff" * 40 + "0000 ffff",
    "openbsd ipsec": "00000000 ffffffff ffffffff",
    "openbsd pflog": "0000" + "ff" * 62,
    "ip over 1394": "ff" * 16,
    "netfilter log": "00ffffff 00000000 ffffffff",
    "netfilter log big": "00ffffff 00000000 ffffffff",
    "802.11": WLAN,
    "802.11 quality": WLAN_QUALITY,
    "802.11 between": WLAN + "ff" * 6,
    "802.11 aggregated": WLAN_QUALITY + "ffffffff" + ADDRESSES,
    "802.11 radiotap": "ffff 0000 fdffffff" + WLAN,
    "802.11 radiotap padded": "ffff 0000 fcffff7f ffffff7f ffffffff" + "ff" * 8 + "df" + WLAN_QUALITY + "ffff",
    "802.11 radiotap fields": "ffff 0000 fcffff7f ffffff7f ffffff7f" + "ff" * 8 + "df" + "ff" * 10 + WLAN,
    "802.11 prism": "00" * 8 + "ff" * 136 + WLAN,
    "802.11 prism avs": "00" * 8 + "ff" * 56 + WLAN,
    "802.11 avs": "00" * 8 + "ff" * 56 + WLAN,
    "ppi 802.11": "00" * 8 + WLAN,
    "sll2": "0000 ffff ffffffff 00000000" + "ff" * 8,
}


def secret_header(name: str, data: bytes, draw: random.Random) -> bytes:
    """Draw anew what a link-layer header, as `writer` makes it, has of secrets."""
    bits = bytes.fromhex(SECRET_BITS.get(name, ""))
    if bits:
        flips = int.from_bytes(bits, "big") & draw.getrandbits(8 * len(bits))
        data = (int.from_bytes(data[: len(bits)], "big") ^ flips).to_bytes(len(bits), "big") + data[len(bits) :]
    for mac in (writer.MACS[:6], writer.MACS[6:]):
        data = data.replace(mac, draw.randbytes(6))
    for number in range(3):
        for tag in (0x8100, 0x88A8, 0x9100):
            data = data.replace(struct.pack(">HH", tag, 100 + number), struct.pack(">H", tag) + draw.randbytes(2))
        for bottom in (0, 1):
            label = struct.pack(">I", (1000 + number) << 12 | bottom << 8 | 64)
            first, second, third, last = draw.randbytes(4)
            data = data.replace(label, bytes([first, second, third & 0xFE | bottom, last]))
    data = data.replace(b"\xaa\xaa\x03\x00\x00\x00", b"\xaa\xaa\x03\x00\x00" + draw.choice([b"\x00", b"\xf8"]))
    data = data.replace(b"\x11\x00\x12\x34", b"\x11\x00" + draw.randbytes(2))
    data = data.replace(b"\x06\x00\x08\x00" + bytes(8), draw.randbytes(12))  # fields of PPI
    return data.replace(b"\x07\x00\x04\x00" + bytes(4), draw.randbytes(8))


def nasty(secret: random.Random, choice: random.Random) -> tuple[bytes, list[bytes]]:
    """Make a frame with secrets wherever there is room for one, and give the secrets of at least 6 bytes.

    What is to be hidden is from `secret`, the rest from `choice`.
    """
    name = choice.choice(list(LINKS))
    version = choice.choice(writer.versions(name))
    size = choice.choice([0, 1, 7, 40, 300])
    payload = secret.randbytes(size)
    kind = choice.choice(["tcp", "tcp", "udp", "icmp", "gre", "esp", "ip in ip", "later fragment"])
    ports = choice.randrange(1 << 16), choice.randrange(1 << 16)
    ends = ENDS[version]
    hidden = [payload]
    if kind == "tcp":
        stamps, cookie = secret.randbytes(8), secret.randbytes(8)
        options = choice.choice([b"", b"\x01\x01\x08\x0a" + stamps, b"\x02\x04\x05\xb4\x22\x0a" + cookie + b"\x00!"])
        body = bytearray(
            writer.tcp(*ports, payload, seq=choice.randrange(1 << 32), flags=choice.randrange(1 << 9), options=options)
        )
        body[16:20] = secret.randbytes(4)  # checksum and urgent pointer
        number = 6
        hidden += [stamps, cookie]
    elif kind == "udp":
        body, number = bytearray(writer.udp(*ports, payload)), 17
        if choice.random() < 0.5:
            body[6:8] = bytes([secret.randrange(1, 256), secret.randrange(256)])
    else:
        number = {"icmp": 1 if version == 4 else 58, "gre": 47, "esp": 50, "ip in ip": 4, "later fragment": 6}[kind]
        start = bytes([choice.choice([0, 3, 5, 8]), choice.randrange(4)]) if kind == "icmp" else secret.randbytes(2)
        quoted = writer.ipv4(*ENDS[4], 6, secret.randbytes(20))
        body = bytearray(start + secret.randbytes(6) + quoted + payload)
        hidden += [ip_address(end).packed for end in ENDS[4]]
    more = choice.random() < 0.2
    later = kind == "later fragment"
    if version == 4:
        ident = choice.randrange(1 << 16) if more or later else secret.randrange(1 << 16)
        route = secret.randbytes(8)
        around = choice.choice(
            [b"", b"\x83\x0b\x04" + route + b"\x00", b"\x44\x0c\x05\x01" + route, secret.randbytes(40)]
        )
        packet = bytearray(
            writer.ipv4(
                *ends, number, bytes(body), ident=ident, options=around, ttl=choice.randrange(1, 256),
                flags_fragment=0x2000 * more | 100 * later,
            )
        )  # fmt: skip
        packet[10:12] = secret.randbytes(2)
    else:
        via = str(ip_address(secret.randbytes(16)))
        extensions = [
            extension
            for extension in (
                writer.hop_by_hop(b"\x1e\x0a" + secret.randbytes(10)),
                writer.routing(via, via),
                writer.destination_options(b"\xc9\x10" + ip_address(via).packed),
                writer.authentication(secret.randbytes(12)),
            )
            if choice.random() < 0.3
        ]
        if more or later:
            extensions.append(writer.fragment(800 * later, more, choice.randrange(1 << 32)))
        packet = bytearray(writer.ipv6(*ends, number, bytes(body), extensions=extensions))
        packet[1:4] = bytes([secret.randrange(16), *secret.randbytes(2)])  # flow label
        hidden.append(ip_address(via).packed)
    whole = writer.link(name, bytes(packet))
    place = whole.index(bytes(packet))
    after = secret.randbytes(choice.choice([0, 4, 30])) if name != "ethernet snap" else b""
    trailer = secret.randbytes(len(whole) - place - len(packet))
    data = secret_header(name, whole[:place], secret) + bytes(packet) + trailer + after
    hidden += [after, trailer, *(ip_address(end).packed for end in ends)]
    cut = choice.choice([None, None, None, place + 40 + choice.randrange(60)])
    return data[:cut], [one for one in hidden if len(one) >= 6 or one in map(_packed, ends)]


def _packed(address: str) -> bytes:
    return ip_address(address).packed


def secret_capture(secret: int, choice: int) -> tuple[bytes, list[bytes]]:
    """Give a pcapng file of nasty frames, and what must be nowhere in the anonymised one."""
    hide, choose = random.Random(secret), random.Random(choice)
    out = bytearray(writer.section_header())
    hidden = [hide.randbytes(9).hex().encode() for _ in range(3)]
    links: dict[int, int] = {}
    blocks = bytearray()
    for number in range(choose.randrange(1, 12)):
        state = choose.getstate()
        link = LINKS[choose.choice(list(LINKS))][0]
        choose.setstate(state)  # `nasty` draws the same name first
        data, secrets = nasty(hide, choose)
        hidden += secrets
        interface = links.setdefault(link, len(links))
        frame = Frame(data, START + number, len(data) + choose.choice([0, 0, 900]), interface)
        blocks += writer.enhanced_packet(frame, tsresol=9, options=[(1, hidden[0])])
        blocks += writer.name_resolution_block(name=hidden[2].decode())
    for link in links:
        out += writer.interface(link, tsresol=9, options=[(2, hidden[1]), (3, hidden[2])])
    return bytes(out + blocks), hidden
