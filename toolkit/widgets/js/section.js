// The heading of a section, which opens and closes it.
function render({ model, el }) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "toolkit-section";
  const mark = document.createElement("span");
  mark.setAttribute("aria-hidden", "true");
  button.append(mark, model.get("title"));
  button.addEventListener("click", () => {
    model.set("opened", !model.get("opened"));
    model.save_changes();
  });
  const show = () => {
    button.setAttribute("aria-expanded", String(model.get("opened")));
    mark.textContent = model.get("opened") ? "▾ " : "▸ ";
  };
  model.on("change:opened", show);
  show();
  el.appendChild(button);
}
export default { render };
