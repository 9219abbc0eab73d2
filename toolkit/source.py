"""Where the packets of a trace came from."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from functools import cached_property

from toolkit.errors import CaptureError
from toolkit.storage import Version


@dataclass(frozen=True)
class Source:
    """Where packets came from, and what was in that file besides.

    Attributes
    ----------
    path
        As it was given to `toolkit.read`; empty for packets that came from no file.
    format, compression
        As found by the first bytes, for example ``"pcap (little endian, µs)"`` and ``"gzip"`` (``""`` for none).
    link_types
        Link-layer header types of the frames, https://www.tcpdump.org/linktypes.html.
    snap_length
        Bytes kept of a frame at most, as the file states it; 0 for no limit stated.
    size
        Bytes, decompressed.
    frames, packets
        Frames in the file, and those that became rows.
    non_ip, unknown_link, no_header, bad_header
        Frames that did not: without an IP header, of an unknown link type, cut before the IP header was whole, with an
        IP header that cannot be.
    problems
        What `toolkit.read` warned of in the capture itself.
    zero_payloads
        Packets with payload, if every payload byte in the file is zero and no table beside it says what was there
        (`toolkit.capture.beside`); else 0.
    payload_table, payload_sha256
        Name and SHA-256 of the table beside the capture from which entropy and TLS types come; ``""`` where they are of
        the payload bytes.
    version
        Which file it was, and when it was last written to; None for packets that came from no file.
    """

    path: str = ""
    format: str = ""
    compression: str = ""
    link_types: tuple[int, ...] = ()
    snap_length: int = 0
    size: int = 0
    frames: int = 0
    packets: int = 0
    non_ip: int = 0
    unknown_link: int = 0
    no_header: int = 0
    bad_header: int = 0
    problems: tuple[str, ...] = ()
    zero_payloads: int = 0
    payload_table: str = ""
    payload_sha256: str = ""
    version: Version | None = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The file's name without its folder."""
        # a name that is no UTF-8 could not be written into a report
        return os.path.basename(self.path).encode("utf-8", "replace").decode() or "packets"

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the file as it lies on disk (read again at the first call), ``""`` without a file.

        Raises
        ------
        CaptureError
            If no file or another one is there now, or it was written to since the packets were read.
        """
        if not self.path:
            return ""
        try:
            with open(self.path, "rb", buffering=0) as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                if self.version is not None:
                    self.version.check(self.path, Version.of(file))
        except OSError as error:
            expected = "the file that the packets were read from, to compute its SHA-256"
            found = error.strerror or str(error)
            raise CaptureError(self.path, expected, found, note="put it back, or read it where it is now") from error
        return digest
