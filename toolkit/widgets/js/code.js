// Code to be read, and a button that copies all of it.
function render({ model, el }) {
  const code = document.createElement("pre");
  code.className = "toolkit-code";
  code.tabIndex = 0; // to scroll by keys
  code.setAttribute("role", "region");
  code.setAttribute("aria-label", "Code");
  const button = document.createElement("button");
  button.className = "jupyter-button widget-button toolkit-copy";
  button.type = "button";
  button.textContent = "Copy code";
  button.addEventListener("click", async () => {
    const text = model.get("text");
    try {
      await navigator.clipboard.writeText(text);
    } catch (refused) {
      // no permission, or no secure context: the old way
      const area = document.createElement("textarea");
      area.value = text;
      document.body.appendChild(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => {
      button.textContent = "Copy code";
    }, 1500);
  });
  const show = () => {
    code.textContent = model.get("text");
  };
  model.on("change:text", show);
  show();
  el.append(button, code);
}
export default { render };
