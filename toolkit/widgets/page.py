"""Two small widgets that ipywidgets does not have: a picture that can be clicked, and a button that copies text."""

from __future__ import annotations

import anywidget
import traitlets as t

_PICTURE = """
function render({ model, el }) {
  const image = document.createElement("img");
  let address = null;
  let drawn = null;
  let current = null;
  function show() {
    const data = drawn = model.get("png");
    const mine = current = { description: model.get("description"), there: false };
    if (!data || !data.byteLength) {
      image.style.display = "none";
      image.alt = mine.description;
      mine.there = true;
      return;
    }
    const next = URL.createObjectURL(new Blob([data], { type: "image/png" }));
    const fresh = new Image();
    fresh.onload = () => {  // the description changes with the picture, not before
      image.src = next;
      image.alt = mine.description;
      mine.there = true;
      image.style.display = "";
      if (address) URL.revokeObjectURL(address);
      address = next;
    };
    fresh.src = next;
  }
  function describe() {
    if (model.get("png") !== drawn) return;  // it comes with another picture
    current.description = model.get("description");
    if (current.there) image.alt = current.description;
  }
  function stale() { image.classList.toggle("toolkit-stale", model.get("stale")); }
  image.className = "toolkit-picture";
  image.addEventListener("click", (event) => {
    const box = image.getBoundingClientRect();
    model.set("clicked", [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height, Date.now()]);
    model.save_changes();
  });
  model.on("change:png", show);
  model.on("change:description", describe);
  model.on("change:stale", stale);
  el.appendChild(image);
  show();
  stale();
  return () => { if (address) URL.revokeObjectURL(address); };
}
export default { render };
"""

_COPY = """
function render({ model, el }) {
  const button = document.createElement("button");
  button.className = "jupyter-button widget-button toolkit-copy";
  button.type = "button";
  button.textContent = "Copy code";
  button.addEventListener("click", async () => {
    const text = model.get("text");
    try {
      await navigator.clipboard.writeText(text);
    } catch (refused) {  // no permission, or no secure context: the old way
      const area = document.createElement("textarea");
      area.value = text;
      document.body.appendChild(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy code"; }, 1500);
  });
  el.appendChild(button);
}
export default { render };
"""


class PictureWidget(anywidget.AnyWidget):
    """A PNG with a description for those who do not see it; says where it was clicked.

    Attributes
    ----------
    png, description
        What is shown. They change together in the page.
    stale
        Whether the picture belongs to choices before the last: it is shown pale.
    clicked
        Where the last click was, in shares of width and height from the top left, and when.
    """

    _esm = _PICTURE
    png = t.Bytes(b"").tag(sync=True)
    description = t.Unicode("").tag(sync=True)
    stale = t.Bool(False).tag(sync=True)
    clicked: t.List[float] = t.List([]).tag(sync=True)

    def show(self, png: bytes, description: str) -> None:
        """Show another picture."""
        with self.hold_sync():
            self.description = description
            self.png = png


class CopyButton(anywidget.AnyWidget):
    """A button that copies a text into the clipboard of the browser.

    Attributes
    ----------
    text
        What is copied.
    """

    _esm = _COPY
    text = t.Unicode("").tag(sync=True)
