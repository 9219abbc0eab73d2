"""Pseudonyms bit by bit, as the paper describes them, and packets as `toolkit.anonymise` must leave them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def pseudonym(address: str, key: bytes) -> str:
    """Flip each bit by the first bit of AES of the bits before it, filled up with those of a secret padding."""

    def aes(block: bytes) -> bytes:
        return Cipher(algorithms.AES(key[:16]), modes.ECB()).encryptor().update(block)

    def bits(data: bytes) -> str:
        return "".join(f"{byte:08b}" for byte in data)

    padding = bits(aes(key[16:]))
    original = bits(ip_address(address).packed)
    result = ""
    for position, bit in enumerate(original):
        block = original[:position] + padding[position:]
        flip = aes(int(block, 2).to_bytes(16, "big"))[0] >> 7
        result += str(int(bit) ^ flip)
    value = int(result, 2)
    return str(IPv4Address(value) if len(result) == 32 else IPv6Address(value))


def common_prefix(one: str, other: str) -> int:
    """Count the bits in which two addresses agree before they differ."""
    a, b = ip_address(one), ip_address(other)
    return a.max_prefixlen - (int(a) ^ int(b)).bit_length()
