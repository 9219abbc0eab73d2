"""Prefix-preserving pseudonyms for addresses (Crypto-PAn), and the key that they depend on.

Two addresses that agree in their first k bits, and not in the next, have pseudonyms of which the same holds. A bit is
flipped or not by one bit of AES of the bits before it, so the mapping is one to one, and depends on nothing but the
key: it is the same in every capture, and in every tool that has Crypto-PAn.

Source: J. Xu, J. Fan, M. Ammar and S. Moon, "Prefix-Preserving IP Address Anonymization: Measurement-Based Security
Evaluation and a New Cryptography-Based Scheme", ICNP 2002. IPv6 as in yacryptopan and other implementations: the same
construction over 128 bits.
"""

from __future__ import annotations

import os
import secrets
import string
from typing import Any

import numpy as np
import numpy.typing as npt

from toolkit.errors import ToolkitError
from toolkit.hosts import Hosts

KEY_SIZE = 32
"""Bytes: 16 for AES, 16 that AES makes the padding of."""

_LONGEST = 1 << 12  # bytes of a file that is to hold a key: more is none
_AT_A_TIME = 1 << 14  # addresses: 32 MiB of blocks for IPv6


def pseudonyms(hosts: Hosts, key: bytes) -> Hosts:
    """Give the pseudonym of each host.

    Raises
    ------
    ValueError
        If `key` does not have 32 bytes.
    ToolkitError
        If the package cryptography is not installed.
    """
    encryptor = _aes(key)
    padding = np.frombuffer(encryptor.update(key[16:]), ">u8").astype(np.uint64)
    words = hosts.words.copy()
    for family, bits in ((4, 32), (6, 128)):
        rows = np.flatnonzero(hosts.family == family)
        for first in range(0, len(rows), _AT_A_TIME):
            part = rows[first : first + _AT_A_TIME]
            address = words[part]
            if family == 4:  # at the front of the block, as if it were the start of a longer address
                address = np.stack([address[:, 1] << np.uint64(32), np.zeros(len(part), np.uint64)], axis=1)
            address ^= _flips(address, bits, padding, encryptor)
            if family == 4:
                address = np.stack([np.zeros(len(part), np.uint64), address[:, 0] >> np.uint64(32)], axis=1)
            words[part] = address
    return Hosts(words, hosts.family)


def _flips(
    address: npt.NDArray[np.uint64], bits: int, padding: npt.NDArray[np.uint64], encryptor: Any
) -> npt.NDArray[np.uint64]:
    """Give what the first `bits` bits of addresses, of which each has two words, are changed by."""
    masks = np.zeros((bits, 2), np.uint64)  # of the bits before each
    for bit in range(bits):
        mask = (1 << 128) - (1 << (128 - bit))
        masks[bit] = mask >> 64, mask & (1 << 64) - 1
    blocks = (address[:, None, :] & masks) | (padding & ~masks)
    mixed = np.frombuffer(encryptor.update(blocks.astype(">u8").tobytes()), np.uint8)
    flip = mixed.reshape(len(address), bits, 16)[:, :, 0] >> 7
    packed = np.zeros((len(address), 16), np.uint8)
    packed[:, : bits // 8] = np.packbits(flip, axis=1)
    return packed.view(">u8").astype(np.uint64)


def _aes(key: bytes) -> Any:
    if not isinstance(key, bytes):
        raise TypeError(f"`key` must be {KEY_SIZE} bytes, got {type(key).__name__}")
    if len(key) != KEY_SIZE:
        raise ValueError(f"`key` must be {KEY_SIZE} bytes, got {len(key)}")
    try:
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    except ImportError as error:
        message = "anonymising needs the package cryptography"
        raise ToolkitError(f"{message}: pip install 'traffic-toolkit[privacy]'") from error
    # one block at a time, as a pseudo-random function: there is no plain text whose repetition would show
    return Cipher(algorithms.AES(key[:16]), modes.ECB()).encryptor()


def new_key(path: str | os.PathLike[str]) -> bytes:
    """Make a key and write it to a file that only you can read.

    Who has the key can compute the pseudonym of any address, and so find, bit by bit, the address behind each
    pseudonym; there is no function for that here. Keep it as long as further captures are to have the same pseudonyms,
    away from what is published.

    Parameters
    ----------
    path
        Of a file that does not exist. It will hold 64 hexadecimal digits.

    Returns
    -------
    bytes
        32, from the random generator of the system.

    Raises
    ------
    FileExistsError
        If there is such a file: it may hold a key that is still needed.
    ToolkitError
        If it cannot be written, as when its folder does not exist.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     key = new_key(f"{folder}/key.txt")
    ...     read_key(f"{folder}/key.txt") == key
    True
    """
    key = secrets.token_bytes(KEY_SIZE)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        found = "a file is there already, and may hold a key that is still needed: use it, or give another name"
        raise FileExistsError(error.errno, found, os.fspath(path)) from None
    except OSError as error:
        raise ToolkitError(f"{os.fspath(path)}: expected to write a new key there, found: {error.strerror}") from error
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{key.hex()}\n")
    return key


def read_key(path: str | os.PathLike[str]) -> bytes:
    """Read a key that `new_key` wrote.

    Raises
    ------
    ToolkitError
        If the file cannot be read, or holds anything else than 64 hexadecimal digits; the message does not show what.
    """
    try:
        with open(path, "rb") as file:
            return parse_key(file.read(_LONGEST).decode("latin-1"))  # whatever the bytes are
    except OSError as error:
        expected = "expected a file with a key, as `new_key` (--new-key) writes it"
        raise ToolkitError(f"{os.fspath(path)}: {expected}, found: {error.strerror}") from error
    except ValueError as error:
        raise ToolkitError(f"{os.fspath(path)}: {error}") from None


def parse_key(text: str) -> bytes:
    """Read a key from 64 hexadecimal digits."""
    digits = text.strip()
    expected = f"expected a key of {2 * KEY_SIZE} hexadecimal digits"
    if not set(digits) <= set(string.hexdigits):
        raise ValueError(f"{expected}, found other characters")
    if len(digits) != 2 * KEY_SIZE:
        raise ValueError(f"{expected}, found {len(digits)} characters")
    return bytes.fromhex(digits)
