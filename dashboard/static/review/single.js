// One creative at a time, by keyboard alone: at most two keys an item.

import { notify, showTimes } from "/static/app.js";
import { badge, described, make, number, reasonWords, say, words } from "/static/review/dom.js";
import { chooseReason, onKeys, showKeys } from "/static/review/keys.js";
import { Outbox } from "/static/review/outbox.js";
import { countWaiting, lookAgain, Queue } from "/static/review/queue.js";
import { fitZoom, toggleZoom } from "/static/review/zoom.js";

const AHEAD = 5;
const EMPTY_MS = 15_000; // an empty queue is asked again
const page = document.getElementById("review");
const part = (name) => page.querySelector(`[data-part=${name}]`);
const log = (window.adloomKeys = []); // the last page's keystrokes, for those who measure them

const outbox = new Outbox(page.dataset.person);
const queue = new Queue(JSON.parse(page.dataset.filters), () => outbox.creatives);
const entries = []; // what was shown or is loaded ahead: { item, state, reason, key }
const undoable = []; // entries whose last decision was made here
let at = -1;
let compared = "all";
let asking = 0;

const current = () => entries[at];

/** Loads ahead; false where the server did not answer, and is asked again. */
async function fill() {
  const ahead = entries.length - 1 - at;
  if (ahead >= AHEAD) return true;
  try {
    const items = await queue.more(AHEAD + 1 - Math.max(ahead, 0));
    for (const item of items) {
      if (!entries.some((entry) => entry.item.creative === item.creative && entry.state === "open")) entries.push({ item, state: "open" });
    }
    return true;
  } catch (error) {
    if (error.status >= 400 && error.status < 500) {
      notify(error.message, "bad");
      return true;
    }
    return false;
  }
}

/** Shows the next item that waits; loads more where there is none. */
async function advance() {
  let next = entries.findIndex((entry, index) => index > at && entry.state === "open");
  if (next < 0) {
    const isAnswered = await fill();
    next = entries.findIndex((entry) => entry.state === "open");
    if (next < 0 && !isAnswered) {
      wait();
      return;
    }
  }
  at = next < 0 ? entries.length : next;
  show();
  fill().then(showCounts);
}

/** Nothing to show and no answer: it is asked again until there is one. */
function wait() {
  at = entries.length;
  part("item").hidden = true;
  part("empty").hidden = true;
  part("loading").hidden = false;
  part("loading").textContent = "The server does not answer; trying again…";
  setTimeout(advance, 3000);
}

function step(by) {
  const to = at + by;
  if (to < 0) return say("This is the first one.");
  if (to >= entries.length) return advance();
  at = to;
  show();
}

function show() {
  const entry = current();
  const isShown = entry !== undefined;
  const wasEmpty = !part("empty").hidden;
  part("item").hidden = !isShown;
  part("empty").hidden = isShown;
  part("loading").hidden = true;
  for (const button of page.querySelectorAll("[data-act]")) {
    if (!["undo", "help", "previous", "again"].includes(button.dataset.act)) button.disabled = !isShown;
  }
  showCounts();
  if (!isShown) {
    part("again").hidden = !queue.skipped;
    if (!wasEmpty) say("Nothing more waits.");
    clearTimeout(asking);
    asking = setTimeout(() => current() || advance(), EMPTY_MS);
    return;
  }
  showItem(entry);
  if (!page.querySelector("[data-actions]").contains(document.activeElement)) part("title").focus({ preventScroll: true });
}

function showItem({ item, state, reason }) {
  part("item").dataset.creative = item.creative;
  part("title").textContent = item.product.title || item.product.external_id;
  part("state").replaceChildren(...(state === "open" ? [] : [badge(state), reason ? ` ${words(reason)}` : ""]));
  part("facts").replaceChildren(...facts(item).flatMap(([name, value]) => [make("dt", {}, name), make("dd", { class: "wrap" }, value)]));
  part("reasons").replaceChildren(...item.reasons.map((found) => make("li", {}, reasonWords(found))));
  part("scores").replaceChildren(...Object.entries(item.scores).flatMap(([name, value]) => [make("dt", {}, name), make("dd", { class: "num" }, number(value))]));
  const word = item.last_review;
  part("word").hidden = !word || word.decision === "undo";
  if (word) part("word").textContent = `${word.reviewer} has said: ${word.decision}${word.reason ? `, ${words(word.reason)}` : ""}`;
  part("link").href = `/creatives/${item.creative}`;
  for (const name of ["photo", "raw", "finished"]) showPicture(name, item);
  showSiblings(item);
  compare(compared);
  fitZoom(item, compared);
  showTimes(part("item"));
}

function facts(item) {
  return [
    ["Creative", String(item.creative)],
    ["Product", item.product.external_id],
    ["Category", item.product.category || "–"],
    ["Campaign", item.campaign],
    ["Scene", `${item.scene} v${item.scene_version}`],
    ["Format", `${item.format}${item.width ? ` · ${item.width} × ${item.height}` : ""}`],
    ["Draw", String(item.draw + 1)],
  ];
}

function showPicture(name, item) {
  const figure = part(name);
  const picture = item[name];
  const image = figure.querySelector("img");
  image.src = picture ? picture.view : "/pictures/none";
  image.alt = picture ? `${name}: ${described(item)}` : `no ${name} picture`;
}

function showSiblings(item) {
  const others = item.siblings.filter((sibling) => sibling.finished && !sibling.is_this);
  part("others").hidden = !others.length;
  part("siblings").replaceChildren(...others.map((sibling) => make("li", {},
    make("a", { href: `/creatives/${sibling.creative}` },
      make("img", { src: sibling.finished.thumb, alt: "", loading: "lazy", width: 120, height: 120 }),
      make("span", {}, `${sibling.format} · draw ${sibling.draw + 1} `), badge(sibling.outcome)))));
}

function compare(which) {
  compared = which;
  part("stage").dataset.compared = which;
  for (const button of page.querySelectorAll("[data-compare]")) button.setAttribute("aria-pressed", String(button.dataset.compare === which));
}

function nextCompared() {
  const order = ["all", "finished", "raw", "photo"];
  const next = order[(order.indexOf(compared) + 1) % order.length];
  compare(next);
  say(next === "all" ? "All three pictures" : `The ${next} picture`);
}

let countedAt = 0;
let waiting = null;

async function showCounts() {
  const unsent = outbox.waiting.length;
  part("pending").hidden = !unsent;
  part("pending").textContent = unsent ? `${unsent} ${unsent === 1 ? "decision" : "decisions"} not stored yet; sending` : "";
  for (const button of page.querySelectorAll('[data-act="undo"]')) button.disabled = !undoable.length;
  if (Date.now() - countedAt > 15_000) {
    countedAt = Date.now();
    waiting = await countWaiting(queue.filters).catch(() => waiting);
  }
  if (waiting) document.querySelector("[data-waiting]").textContent = `${waiting.waiting}${waiting.waiting >= waiting.counted ? "+" : ""} waiting`;
}

function decided(entry, state, decision, reason) {
  entry.key = outbox.decide(entry.item, decision, reason);
  entry.state = state;
  entry.reason = reason;
  undoable.push(entry);
  queue.done(entry.item);
  if (waiting?.waiting) waiting.waiting -= 1;
  say(`${words(state)}: ${entry.item.product.title}`);
  advance();
}

/** Whether the picture of `entry` is there to be seen, waiting for it. */
async function isSeen(entry) {
  const image = part("finished").querySelector("img");
  if (!image.complete) {
    say("The picture is loading.");
    await new Promise((resolve) => {
      image.addEventListener("load", resolve, { once: true });
      image.addEventListener("error", resolve, { once: true });
    });
  }
  if (!image.naturalWidth) notify("The picture could not be loaded, so nothing was decided.", "bad");
  return image.naturalWidth > 0 && current() === entry;
}

async function approve() {
  const entry = current();
  if (entry?.item.image_sha256 && await isSeen(entry)) decided(entry, "approved", "approve", "");
}

async function reject() {
  const entry = current();
  if (!entry?.item.image_sha256) return;
  const reason = await chooseReason(log);
  if (reason && current() === entry && await isSeen(entry)) decided(entry, "rejected", "reject", reason);
}

function skip() {
  const entry = current();
  if (!entry) return;
  if (entry.state === "open") {
    entry.state = "skipped";
    queue.skip(entry.item);
  }
  advance();
}

function undo() {
  const entry = undoable.pop();
  if (!entry) return say("There is nothing to undo.");
  outbox.undo(entry.key, [entry.item.creative]);
  reopen(entry);
  say(`Undone: ${entry.item.product.title}`);
}

function reopen(entry) {
  Object.assign(entry, { state: "open", reason: "", key: null });
  queue.hold(entry.item);
  at = entries.indexOf(entry);
  show();
}

/** A decision was refused: the item is shown as it stands now, to be decided anew. */
async function lookAnew(creatives, because) {
  for (const creative of creatives) {
    const entry = entries.findLast((candidate) => candidate.item.creative === creative);
    const item = await lookAgain(creative).catch(() => null);
    if (!entry || !item) continue;
    const isOther = item.image_sha256 !== entry.item.image_sha256;
    entry.item = item;
    undoable.splice(0, undoable.length, ...undoable.filter((candidate) => candidate !== entry));
    if (item.outcome === "needs_review" || isOther) reopen(entry);
    else Object.assign(entry, { state: item.outcome, reason: item.last_review?.reason ?? "" });
    part("changed").textContent = `${item.product.title}: ${isOther ? "the image has changed since you saw it. Decide on this one." : because}`;
    part("changed").hidden = false;
  }
}

const acts = {
  approve, reject, skip, undo, help: showKeys,
  next: () => step(1), previous: () => step(-1), compare: nextCompared,
  zoom: () => current() && toggleZoom(current().item, compared),
  again: () => { queue.takeUpSkipped(); advance(); },
};

onKeys({
  a: approve, r: reject, s: skip, u: undo, z: acts.zoom, c: nextCompared, "?": showKeys,
  j: acts.next, k: acts.previous, ArrowRight: acts.next, ArrowLeft: acts.previous,
  0: () => compare("all"), 1: () => compare("photo"), 2: () => compare("raw"), 3: () => compare("finished"),
}, log);
page.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act], [data-compare]");
  if (button?.dataset.act) acts[button.dataset.act]();
  else if (button) compare(button.dataset.compare);
  else if (event.target.closest("[data-part=stage] img")) acts.zoom();
});
outbox.addEventListener("change", showCounts);
outbox.addEventListener("stored", () => { part("changed").hidden = true; });
outbox.addEventListener("refused", ({ detail }) => lookAnew(detail.creatives, detail.error.message));
outbox.addEventListener("left-out", ({ detail }) => lookAnew(detail.creatives, "this could not be undone."));
queue.addEventListener("lost", ({ detail }) => {
  for (const entry of entries) if (entry.state === "open" && detail.includes(entry.item.creative)) entry.state = "given up";
  if (current()?.state === "given up") {
    notify("You held this one too long; somebody else may decide on it.", "warn");
    advance();
  }
});
advance();
