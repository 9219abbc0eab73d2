// What ipywidgets leaves out for those who use keys or a screen reader, for everything in the explorer around it.
function render({ el }) {
  let observer = null;

  function name(root) {
    // else JupyterLab takes keys such as x (cut the cell) and the arrows for itself; it asks the focused element only
    for (const control of root.querySelectorAll("button, input, select, pre, .noUi-handle"))
      control.setAttribute("data-lm-suppress-shortcuts", "true");
    for (const titled of root.querySelectorAll('[title="null"]')) titled.removeAttribute("title");
    for (const slider of root.querySelectorAll(".widget-slider")) {
      const label = slider.querySelector(".widget-label")?.textContent ?? "";
      const handles = [...slider.querySelectorAll(".noUi-handle")];
      handles.forEach((handle, i) => {
        const words = handles.length > 1 ? `${label}: ${i ? "to" : "from"}` : label;
        if (handle.getAttribute("aria-label") !== words) handle.setAttribute("aria-label", words);
      });
    }
  }

  function begin() {
    const root = el.closest(".toolkit-explorer");
    if (!root) {
      requestAnimationFrame(begin); // not in the page yet
      return;
    }
    let waiting = false;
    observer = new MutationObserver(() => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        name(root);
      });
    });
    observer.observe(root, { childList: true, subtree: true });
    name(root);
  }
  requestAnimationFrame(begin);
  return () => observer?.disconnect();
}
export default { render };
