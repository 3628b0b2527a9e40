// A picture at full size, moved by the arrow keys; 1 2 3 change between photo, raw and finished at
// the same place.

const dialog = document.getElementById("zoom");
const image = dialog.querySelector("img");
const pane = dialog.querySelector("[data-pane]");
const NAMES = { 1: "photo", 2: "raw", 3: "finished" };
let shown = null;

export function toggleZoom(item, compared) {
  if (dialog.open) return dialog.close();
  dialog.showModal();
  show(item, compared === "all" ? "finished" : compared);
  pane.focus();
}

/** The item behind the dialog changed. */
export function fitZoom(item, compared) {
  if (dialog.open) show(item, compared === "all" ? "finished" : compared);
}

function show(item, name) {
  const [left, top] = [pane.scrollLeft / (pane.scrollWidth || 1), pane.scrollTop / (pane.scrollHeight || 1)];
  shown = item;
  image.src = (item[name] ?? item.finished)?.image ?? "/pictures/none";
  image.alt = `${name}, at full size: ${item.product.title}`;
  image.onload = () => pane.scrollTo(left * pane.scrollWidth, top * pane.scrollHeight);
  dialog.querySelector("[data-name]").textContent = name;
}

dialog.addEventListener("keydown", (event) => {
  if (event.key.toLowerCase() === "z") { event.preventDefault(); dialog.close(); }
  if (NAMES[event.key] && shown) show(shown, NAMES[event.key]);
});
dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
