"""What can go wrong, with one root class to catch."""

from __future__ import annotations

from typing import Any


class ToolkitError(Exception):
    """Root of every error of the toolkit that is not a plain bad argument (`ValueError`, `TypeError`)."""


class _CaptureProblem(Exception):
    """Where a capture stops making sense.

    Attributes
    ----------
    path
        The file, as it was given.
    expected, found
        What should have been there, and what was.
    offset
        Byte of the (decompressed) file at which the trouble starts, or None where there is no such byte.
    packet
        1-based number of the frame concerned, or None.
    note
        What becomes of the rest.
    """

    def __init__(
        self,
        path: str,
        expected: str,
        found: str,
        offset: int | None = None,
        packet: int | None = None,
        note: str = "",
    ) -> None:
        self.path = path
        self.expected = expected
        self.found = found
        self.offset = offset
        self.packet = packet
        self.note = note
        super().__init__(path, expected, found, offset, packet, note)

    def __str__(self) -> str:
        places = [f"packet {self.packet}"] if self.packet is not None else []
        places += [f"offset {self.offset}"] if self.offset is not None else []
        where = f" ({', '.join(places)})" if places else ""
        note = f"; {self.note}" if self.note else ""
        return f"{self.path}{where}: expected {self.expected}, found {self.found}{note}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self.args


class CaptureError(_CaptureProblem, ToolkitError):
    """A capture cannot be read, or not wholly and `strict=True`."""


class CaptureWarning(_CaptureProblem, UserWarning):
    """A part of a capture was not read or not understood; everything good was kept."""
