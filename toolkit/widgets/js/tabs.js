// Tabs as WAI-ARIA describes them: one stop for the Tab key, arrows go from one to the next.
function render({ model, el }) {
  const bar = document.createElement("div");
  bar.className = "toolkit-tabs";
  bar.setAttribute("role", "tablist");
  bar.setAttribute("aria-label", "View");
  const buttons = model.get("options").map((option) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "jupyter-button widget-button";
    button.setAttribute("role", "tab");
    button.textContent = option[0].toUpperCase() + option.slice(1);
    button.addEventListener("click", () => choose(option));
    bar.appendChild(button);
    return button;
  });
  function choose(option) {
    model.set("value", option);
    model.save_changes();
  }
  function show() {
    model.get("options").forEach((option, i) => {
      const chosen = option === model.get("value");
      buttons[i].setAttribute("aria-selected", String(chosen));
      buttons[i].tabIndex = chosen ? 0 : -1;
      buttons[i].classList.toggle("mod-active", chosen);
    });
  }
  bar.addEventListener("keydown", (event) => {
    const count = buttons.length;
    const here = buttons.indexOf(document.activeElement);
    const next = { ArrowRight: here + 1, ArrowLeft: here + count - 1, Home: 0, End: count - 1 }[event.key];
    if (here < 0 || next === undefined) return;
    event.preventDefault();
    buttons[next % count].focus();
    choose(model.get("options")[next % count]);
  });
  model.on("change:value", show);
  show();
  el.appendChild(bar);
}
export default { render };
