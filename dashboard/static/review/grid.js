// Many creatives at once: chosen by keys, mouse or touch, decided together, undone together.

import { confirmed, notify } from "/static/app.js";
import { badge, described, make, reasonWords, say, words } from "/static/review/dom.js";
import { chooseReason, onKeys, showKeys } from "/static/review/keys.js";
import { Outbox } from "/static/review/outbox.js";
import { Queue } from "/static/review/queue.js";

const COUNT = 48;
const EMPTY_MS = 15_000; // an empty queue is asked again
const page = document.getElementById("review");
const part = (name) => page.querySelector(`[data-part=${name}]`);
const outbox = new Outbox(page.dataset.person);
const queue = new Queue(JSON.parse(page.dataset.filters), () => outbox.creatives);
const tiles = new Map(); // creative -> { item, element }
const undoable = []; // { key, items }

const boxes = () => [...part("tiles").querySelectorAll("input[type=checkbox]")];
const chosen = () => boxes().filter((box) => box.checked).map((box) => tiles.get(Number(box.value)).item);

/** What an act is done to: the chosen, else the one that has the focus. */
function subjects() {
  const items = chosen();
  if (items.length) return items;
  const tile = document.activeElement?.closest("[data-creative]");
  return tile ? [tiles.get(Number(tile.dataset.creative)).item] : [];
}

async function load() {
  part("loading").hidden = false;
  try {
    for (const item of await queue.more(COUNT)) add(item);
  } catch (error) {
    if (error.status >= 400 && error.status < 500) notify(error.message, "bad");
    else setTimeout(load, 3000);
    return;
  } finally {
    part("loading").hidden = true;
  }
  part("empty").hidden = tiles.size > 0;
  if (!tiles.size) setTimeout(() => tiles.size || load(), EMPTY_MS);
  part("again").hidden = !queue.skipped;
  showCounts();
  if (!page.contains(document.activeElement)) boxes()[0]?.focus();
}

function add(item) {
  const reasons = item.reasons.map(reasonWords).join("; ") || words(item.outcome);
  const box = make("input", { type: "checkbox", value: item.creative, "aria-label": `${described(item)}. ${reasons}` });
  const element = make("li", { "data-creative": item.creative, class: "tile" },
    make("label", {},
      box,
      make("img", { src: item.finished?.thumb ?? "/pictures/none", alt: "", width: 320, height: 320 }),
      make("span", { class: "tile-title" }, item.product.title || item.product.external_id),
      make("span", { class: "faint" }, `${words(item.scene)} · ${item.format}`),
      make("span", { class: "faint" }, reasons)),
    make("a", { href: `/creatives/${item.creative}`, "aria-label": `Details of ${described(item)}` }, "Details"));
  tiles.get(item.creative)?.element.remove();
  tiles.set(item.creative, { item, element });
  part("tiles").append(element);
}

function remove(items) {
  const all = boxes();
  const index = Math.max(0, all.findIndex((box) => box === document.activeElement));
  for (const { creative } of items) {
    tiles.get(creative)?.element.remove();
    tiles.delete(creative);
  }
  const left = boxes();
  left[Math.min(index, left.length - 1)]?.focus();
  if (!left.length) load();
  showCounts();
}

function showCounts() {
  const unsent = outbox.waiting.length;
  part("pending").hidden = !unsent;
  part("pending").textContent = unsent ? `${unsent} ${unsent === 1 ? "decision" : "decisions"} not stored yet; sending` : "";
  const count = chosen().length;
  part("chosen").textContent = count ? `${count} chosen` : `${tiles.size} shown, none chosen`;
  for (const button of page.querySelectorAll('[data-act="undo"]')) button.disabled = !undoable.length;
}

const creatives = (count) => `${count} ${count === 1 ? "creative" : "creatives"}`;

async function decide(items, decision, reason) {
  if (!items.length) return say("None is chosen.");
  const done = decision === "approve" ? "approved" : "rejected";
  const act = decision === "approve" ? "Approve" : "Reject";
  const why = reason ? ` as ${words(reason)}` : "";
  if (items.length > 1 && !await confirmed(`${act} ${creatives(items.length)}${why}?`, { act: `${act} ${items.length}`, danger: decision === "reject" })) return;
  const key = outbox.decideAll(items, decision, reason);
  undoable.push({ key, items });
  for (const item of items) queue.done(item);
  remove(items);
  notify(`${creatives(items.length)} ${done}${why}. Press u to undo.`);
  say(`${creatives(items.length)} ${done}`);
}

async function reject() {
  const items = subjects();
  if (!items.length) return say("None is chosen.");
  const reason = await chooseReason();
  if (reason) decide(items, "reject", reason);
}

function skip() {
  const items = subjects();
  for (const item of items) queue.skip(item);
  remove(items);
}

function undo() {
  const last = undoable.pop();
  if (!last) return say("There is nothing to undo.");
  outbox.undo(last.key, last.items.map((item) => item.creative));
  for (const item of last.items) { queue.hold(item); add(item); }
  part("empty").hidden = true;
  tiles.get(last.items[0].creative).element.querySelector("input").focus();
  say(`Undone: ${creatives(last.items.length)}`);
  showCounts();
}

function move(by) {
  const all = boxes();
  const index = all.indexOf(document.activeElement);
  all[Math.max(0, Math.min(all.length - 1, index + by))]?.focus();
}

/** How many tiles stand in a line. */
function perLine() {
  const tops = [...part("tiles").children].map((tile) => tile.offsetTop);
  return Math.max(1, tops.findIndex((top) => top !== tops[0]) > 0 ? tops.findIndex((top) => top !== tops[0]) : tops.length);
}

function chooseAll() {
  const all = boxes();
  const isOn = !all.every((box) => box.checked);
  for (const box of all) box.checked = isOn;
  showCounts();
}

const acts = {
  approve: () => decide(subjects(), "approve", ""), reject, skip, undo, all: chooseAll, help: showKeys,
  again: () => { queue.takeUpSkipped(); load(); }, more: load,
};

onKeys({
  a: acts.approve, r: reject, s: skip, u: undo, x: chooseAll, m: load, "?": showKeys,
  ArrowRight: () => move(1), ArrowLeft: () => move(-1), ArrowDown: () => move(perLine()), ArrowUp: () => move(-perLine()),
});
page.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (button) acts[button.dataset.act]();
});
part("tiles").addEventListener("change", showCounts);
outbox.addEventListener("change", showCounts);
const comeBack = ({ detail }) => {
  notify("Some had changed or were decided by somebody else; the list is loaded again.", "warn");
  for (const creative of detail.creatives) tiles.get(creative)?.element.remove();
  load();
};
outbox.addEventListener("refused", comeBack);
outbox.addEventListener("left-out", comeBack);
queue.addEventListener("lost", ({ detail }) => remove(detail.map((creative) => tiles.get(creative)?.item).filter(Boolean)));
load();
