// Painting a product mask over its photo: what is veiled is background.
import { ask, confirmed, notify } from "/static/app.js";

const KEPT_FOR_UNDO = 12;
const VEIL = "rgb(190 20 90)";

const root = document.querySelector("[data-painter]");
const canvas = root?.querySelector("canvas");
if (canvas) start();

async function start() {
  const size = { width: Number(root.dataset.width), height: Number(root.dataset.height) };
  const say = (text) => { root.querySelector("[data-status]").textContent = text; };
  let photo, veil;
  try {
    photo = await picture(root.dataset.photo);
    veil = layer(size);
    if (root.dataset.mask) veilOutside(veil, await picture(root.dataset.mask), size);
    else fill(veil, size);
  } catch {
    say("The photo or its mask cannot be shown; load the page again.");
    return;
  }
  const state = { tool: "product", radius: 24, cursor: { x: size.width / 2, y: size.height / 2 }, last: null, isPainting: false, past: [] };
  const brush = root.querySelector("#brush");
  const undo = root.querySelector("[data-undo]");
  const save = root.querySelector("[data-save-mask]");
  const context = canvas.getContext("2d");

  function draw() {
    context.globalAlpha = 1;
    context.clearRect(0, 0, size.width, size.height);
    context.drawImage(photo, 0, 0, size.width, size.height);
    context.globalAlpha = 0.6;
    context.drawImage(veil.canvas, 0, 0);
    context.globalAlpha = 1;
    for (const [style, width] of [["#000", 3], ["#fff", 1]]) {
      context.strokeStyle = style;
      context.lineWidth = width * Math.max(1, size.width / canvas.clientWidth);
      context.beginPath();
      context.arc(state.cursor.x, state.cursor.y, state.radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  function keep() {
    const copy = layer(size);
    copy.drawImage(veil.canvas, 0, 0);
    state.past.push(copy);
    if (state.past.length > KEPT_FOR_UNDO) state.past.shift();
    undo.disabled = false;
    save.disabled = false;
  }

  function stroke(from, to) {
    veil.globalCompositeOperation = state.tool === "product" ? "destination-out" : "source-over";
    veil.strokeStyle = veil.fillStyle = VEIL;
    veil.lineWidth = 2 * state.radius;
    veil.lineCap = veil.lineJoin = "round";
    veil.beginPath();
    veil.moveTo(from.x, from.y);
    veil.lineTo(to.x + 0.01, to.y);
    veil.stroke();
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) * size.width) / box.width,
      y: ((event.clientY - box.top) * size.height) / box.height,
    };
  }

  function choose(tool) {
    state.tool = tool;
    for (const button of root.querySelectorAll("[data-tool]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
      button.classList.toggle("primary", button.dataset.tool === tool);
    }
  }

  function resize(radius) {
    state.radius = Math.min(200, Math.max(1, radius));
    brush.value = String(state.radius);
    draw();
  }

  function goBack() {
    const before = state.past.pop();
    if (!before) return;
    veil.globalCompositeOperation = "copy";
    veil.drawImage(before.canvas, 0, 0);
    undo.disabled = state.past.length === 0;
    draw();
  }

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    canvas.focus({ preventScroll: true });
    keep();
    state.isPainting = true;
    state.last = state.cursor = place(event);
    stroke(state.last, state.cursor);
    draw();
    event.preventDefault();
  });
  canvas.addEventListener("pointermove", (event) => {
    state.cursor = place(event);
    if (state.isPainting) {
      stroke(state.last, state.cursor);
      state.last = state.cursor;
    }
    draw();
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { state.isPainting = false; });

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = Math.max(1, state.radius / (event.shiftKey ? 4 : 1));
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const key = event.key.toLowerCase();
    if (moves[event.key]) {
      const [x, y] = moves[event.key];
      const before = state.cursor;
      state.cursor = {
        x: Math.min(size.width, Math.max(0, before.x + x)),
        y: Math.min(size.height, Math.max(0, before.y + y)),
      };
      if (state.isPainting) stroke(before, state.cursor);
      draw();
    } else if (event.key === " ") {
      if (!event.repeat) { keep(); state.isPainting = true; stroke(state.cursor, state.cursor); draw(); }
    } else if (key === "b") choose("product");
    else if (key === "e") choose("background");
    else if (event.key === "[") resize(state.radius * 0.8);
    else if (event.key === "]") resize(state.radius * 1.25);
    else if (key === "z") goBack();
    else return;
    event.preventDefault();
  });
  canvas.addEventListener("keyup", (event) => { if (event.key === " ") state.isPainting = false; });
  brush.addEventListener("input", () => resize(Number(brush.value)));
  undo.addEventListener("click", goBack);
  for (const button of root.querySelectorAll("[data-tool]")) button.addEventListener("click", () => choose(button.dataset.tool));

  save.addEventListener("click", async () => {
    const renders = Number(root.dataset.renders);
    const question = renders ? `Save this mask? ${renders} ${renders === 1 ? "render is" : "renders are"} made anew at the next run.` : "Save this mask?";
    if (!await confirmed(question, { act: "Save the mask" })) return;
    save.disabled = true;
    say("Saving…");
    try {
      const body = new FormData();
      body.append("file", await maskFile(veil, size), "mask.png");
      body.append("note", root.querySelector("#paint-note").value);
      await ask(root.dataset.save, { method: "POST", body });
      location.reload();
    } catch (error) {
      save.disabled = false;
      say("");
      notify([error.message, error.hint].filter(Boolean).join(" "), "bad");
    }
  });

  choose("product");
  draw();
}

function layer({ width, height }) {
  const made = document.createElement("canvas");
  made.width = width;
  made.height = height;
  return made.getContext("2d", { willReadFrequently: true });
}

function picture(address) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = reject;
    image.src = address;
  });
}

function fill(veil, { width, height }) {
  veil.fillStyle = VEIL;
  veil.fillRect(0, 0, width, height);
}

/** Veils what the mask leaves out: the veil's opacity is what the mask lacks to white. */
function veilOutside(veil, mask, size) {
  const { width, height } = size;
  fill(veil, size);
  const pixels = veil.getImageData(0, 0, width, height);
  const grey = layer(size);
  grey.drawImage(mask, 0, 0, width, height);
  const from = grey.getImageData(0, 0, width, height).data;
  for (let i = 0; i < from.length; i += 4) pixels.data[i + 3] = 255 - from[i];
  veil.putImageData(pixels, 0, 0);
}

/** The mask as a grey PNG of the photo's size. */
function maskFile(veil, size) {
  const { width, height } = size;
  const made = layer(size);
  const pixels = made.createImageData(width, height);
  const from = veil.getImageData(0, 0, width, height).data;
  for (let i = 0; i < from.length; i += 4) {
    pixels.data[i] = pixels.data[i + 1] = pixels.data[i + 2] = 255 - from[i + 3];
    pixels.data[i + 3] = 255;
  }
  made.putImageData(pixels, 0, 0);
  return new Promise((resolve) => made.canvas.toBlob(resolve, "image/png"));
}
