"""Small widgets that ipywidgets does not have, or not for those who use keys: their pages are in ``js``."""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets as t

_JS = Path(__file__).parent / "js"

STYLE = f"<style>{(_JS / 'style.css').read_text('utf-8')}</style>"
"""Of all that is in the explorer."""


class PictureWidget(anywidget.AnyWidget):
    """A PNG with a description for those who do not see it.

    Attributes
    ----------
    png, description
        What is shown. They change together in the page.
    kind
        A class of the style sheet.
    clickable
        Whether a click means something.
    clicked
        Where the last click was, in shares of width and height from the top left, and when.
    """

    _esm = (_JS / "picture.js").read_text("utf-8")
    png = t.Bytes(b"").tag(sync=True)
    description = t.Unicode("").tag(sync=True)
    kind = t.Unicode("toolkit-picture").tag(sync=True)
    clickable = t.Bool(False).tag(sync=True)
    clicked: t.List[float] = t.List([]).tag(sync=True)

    def show(self, png: bytes, description: str) -> None:
        """Show another picture."""
        with self.hold_sync():
            self.description = description
            self.png = png


class CodeWidget(anywidget.AnyWidget):
    """Code to be read, with a button that copies it into the clipboard of the browser.

    Attributes
    ----------
    text
        The code.
    """

    _esm = (_JS / "code.js").read_text("utf-8")
    text = t.Unicode("").tag(sync=True)


class Message(anywidget.AnyWidget):
    """A line that screen readers read out when it changes.

    Attributes
    ----------
    text
        Never HTML.
    wrong
        Whether something went wrong.
    """

    _esm = (_JS / "message.js").read_text("utf-8")
    text = t.Unicode("").tag(sync=True)
    wrong = t.Bool(False).tag(sync=True)

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Say something else."""
        with self.hold_sync():
            self.text, self.wrong = text, wrong


class Tabs(anywidget.AnyWidget):
    """Tabs of which one is chosen.

    Attributes
    ----------
    options
        Their names.
    value
        The chosen one.
    """

    _esm = (_JS / "tabs.js").read_text("utf-8")
    options: t.List[str] = t.List(t.Unicode()).tag(sync=True)
    value = t.Unicode("").tag(sync=True)


class Heading(anywidget.AnyWidget):
    """The heading of a section, which opens and closes it.

    Attributes
    ----------
    title
        What it says.
    opened
        Whether the section is open.
    """

    _esm = (_JS / "section.js").read_text("utf-8")
    title = t.Unicode("").tag(sync=True)
    opened = t.Bool(False).tag(sync=True)


class Manners(anywidget.AnyWidget):
    """Nothing to be seen: gives everything around it the names and keys that ipywidgets leaves out."""

    _esm = (_JS / "manners.js").read_text("utf-8")
