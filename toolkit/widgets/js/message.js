// One line that is read out when it changes: the element stays, its text is another.
function render({ model, el }) {
  const line = document.createElement("div");
  line.setAttribute("role", "status");
  line.setAttribute("aria-live", "polite");
  const show = () => {
    line.className = `toolkit-message ${model.get("wrong") ? "toolkit-failed" : ""}`;
    line.textContent = model.get("text");
  };
  model.on("change:text", show);
  model.on("change:wrong", show);
  show();
  el.appendChild(line);
}
export default { render };
