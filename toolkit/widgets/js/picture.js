// A picture with a description, which says where it was clicked.
function render({ model, el }) {
  const image = document.createElement("img");
  let address = null;
  let drawn = null; // the data that were handled last
  let current = null; // their description, and whether they are on the page yet

  function show() {
    const data = (drawn = model.get("png"));
    const mine = (current = { description: model.get("description"), there: false });
    if (!data || !data.byteLength) {
      image.style.display = "none";
      image.alt = mine.description;
      mine.there = true;
      return;
    }
    const next = URL.createObjectURL(new Blob([data], { type: "image/png" }));
    const fresh = new Image();
    fresh.onload = () => {
      // the description changes with the picture, not before
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
    if (model.get("png") !== drawn) return; // it comes with another picture
    current.description = model.get("description");
    if (current.there) image.alt = current.description;
  }

  function point() {
    image.classList.toggle("toolkit-clickable", model.get("clickable"));
  }

  image.className = model.get("kind");
  image.addEventListener("click", (event) => {
    if (!model.get("clickable")) return;
    const box = image.getBoundingClientRect();
    model.set("clicked", [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height, Date.now()]);
    model.save_changes();
  });
  model.on("change:png", show);
  model.on("change:description", describe);
  model.on("change:clickable", point);
  el.appendChild(image);
  show();
  point();
  return () => {
    if (address) URL.revokeObjectURL(address);
  };
}
export default { render };
