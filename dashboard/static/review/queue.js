// Items that are this reviewer's to decide: claimed, loaded ahead, kept while the page is open, and
// given up when it is left.

import { ask, csrfToken } from "/static/app.js";

const PATH = "/api/v1/review";

export class Queue extends EventTarget {
  #loading = null;
  #held = new Map(); // creative -> item
  #skipped = new Set();
  #renewing = 0;

  /** `filters`: as the API takes them; `unsent`: a function that gives creatives not to be had again. */
  constructor(filters, unsent) {
    super();
    this.filters = filters;
    this.unsent = unsent;
    addEventListener("pagehide", () => this.#leave());
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  }

  get skipped() {
    return this.#skipped.size;
  }

  /** Up to `count` further items, with their pictures on the way; none where no more wait. */
  async more(count) {
    this.#loading ??= this.#load(count).finally(() => { this.#loading = null; });
    return this.#loading;
  }

  async #load(count) {
    const without = [...this.#held.keys(), ...this.#skipped, ...this.unsent()];
    const found = await ask(`${PATH}/next`, { method: "POST", unattended: true, body: { ...this.filters, count, without } });
    for (const item of found.items) {
      this.#held.set(item.creative, item);
      preload(item);
    }
    clearInterval(this.#renewing);
    this.#renewing = setInterval(() => this.#renew(), found.claim_s * 1000 / 3);
    return found.items;
  }

  /** An item that came back: it was undone, or looked at anew. */
  hold(item) {
    this.#held.set(item.creative, item);
    this.#skipped.delete(item.creative);
  }

  /** Decided on: no longer to be kept. */
  done(item) {
    this.#held.delete(item.creative);
  }

  skip(item) {
    this.#held.delete(item.creative);
    this.#skipped.add(item.creative);
    ask(`${PATH}/claims/release`, { method: "POST", body: { creatives: [item.creative] } }).catch(() => {}); // it runs out by itself
  }

  /** What was skipped may come again. */
  takeUpSkipped() {
    this.#skipped.clear();
  }

  async #renew() {
    const creatives = [...this.#held.keys()].slice(0, 60);
    if (!creatives.length) return;
    try {
      const kept = new Set((await ask(`${PATH}/claims/renew`, { method: "POST", unattended: true, body: { creatives } })).creatives);
      const lost = creatives.filter((creative) => !kept.has(creative) && this.#held.has(creative));
      for (const creative of lost) this.#held.delete(creative);
      if (lost.length) this.dispatchEvent(new CustomEvent("lost", { detail: lost }));
    } catch {
      // The page says that the server does not answer; the next turn tries again.
    }
  }

  #leave() {
    clearInterval(this.#renewing);
    const creatives = [...this.#held.keys()].slice(0, 60);
    if (!creatives.length) return;
    fetch(`${PATH}/claims/release`, {
      method: "POST", keepalive: true, credentials: "same-origin",
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrfToken() },
      body: JSON.stringify({ creatives }),
    }).catch(() => {});
  }
}

/** An item as it stands now. */
export const lookAgain = (creative) => ask(`${PATH}/creatives/${creative}`);

/** How many wait. */
export const countWaiting = (filters) => ask(`${PATH}/queue?${new URLSearchParams(filters)}`, { unattended: true });

const kept = [];

function preload(item) {
  for (const picture of [item.finished, item.photo, item.raw]) {
    if (!picture) continue;
    const image = new Image();
    image.src = picture.view;
    kept.push(image);
  }
  kept.splice(0, Math.max(0, kept.length - 60));
}
