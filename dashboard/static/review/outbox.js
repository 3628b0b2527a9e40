// What was decided and is not stored yet. It outlives the page, is sent in order, each under a key
// of its own so that sending twice does nothing twice, and is never dropped without a word.

import { ask, notify } from "/static/app.js";

const AGAIN_MS = [1000, 2000, 5000, 10_000, 30_000];
const PATH = "/api/v1/review/decisions";

/** A key that nobody has used. */
export const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

export class Outbox extends EventTarget {
  #name;
  #sending = null;
  #failures = 0;
  #timer = 0;
  #lastReviews = new Map(); // creative -> number of the newest review of its image

  constructor(person) {
    super();
    this.#name = `adloom.outbox.${person}`;
    addEventListener("online", () => this.send());
    document.addEventListener("adloom:recovered", () => this.send());
    addEventListener("storage", (event) => { if (event.key === this.#name) this.#changed(); });
    this.send();
  }

  get waiting() {
    try {
      return JSON.parse(localStorage.getItem(this.#name) ?? "[]");
    } catch {
      return [];
    }
  }

  /** The creatives of which a decision is not stored yet. */
  get creatives() {
    return this.waiting.flatMap((message) => message.creatives);
  }

  /** Which review of an item is the newest that is known here. */
  lastReview(item) {
    return this.#lastReviews.get(item.creative) ?? item.last_review?.id ?? null;
  }

  decide(item, decision, reason) {
    const key = newKey();
    const body = { creative: item.creative, image_sha256: item.image_sha256, last_review: this.lastReview(item), decision, reason, key };
    this.#add({ key, path: PATH, body, creatives: [item.creative] });
    return key;
  }

  decideAll(items, decision, reason) {
    const key = newKey();
    const choices = items.map((item) => ({ creative: item.creative, image_sha256: item.image_sha256, last_review: this.lastReview(item) }));
    this.#add({ key, path: `${PATH}/bulk`, body: { choices, decision, reason, key }, creatives: items.map((item) => item.creative) });
    return key;
  }

  /** Takes back what was decided under `key`: unsaid where it was not sent yet. */
  undo(key, creatives) {
    const waiting = this.waiting;
    const unsent = waiting.findIndex((message) => message.key === key);
    if (unsent >= 0 && this.#sending !== key) {
      this.#save(waiting.toSpliced(unsent, 1));
      return;
    }
    const own = newKey();
    this.#add({ key: own, path: `${PATH}/${key}/undo`, body: { key: own }, creatives });
  }

  async send() {
    if (this.#sending) return;
    clearTimeout(this.#timer);
    for (let message = this.waiting[0]; message; message = this.waiting[0]) {
      this.#sending = message.key;
      try {
        this.#stored(message, await ask(message.path, { method: "POST", body: this.#brought(message) }));
        this.#failures = 0;
        this.#drop(message.key);
      } catch (error) {
        if (error.status === 401) return; // signing in leads back here, and it is sent then
        const isOutage = !error.status || error.status >= 500 || error.status === 429;
        if (isOutage) {
          this.#timer = setTimeout(() => this.send(), AGAIN_MS[Math.min(this.#failures++, AGAIN_MS.length - 1)]);
          this.#changed();
          return;
        }
        this.#drop(message.key);
        notify(`Not stored: ${error.message}`, "bad");
        this.dispatchEvent(new CustomEvent("refused", { detail: { ...message, error } }));
      } finally {
        this.#sending = null;
      }
    }
    this.#changed();
  }

  // What an earlier message brought about counts for the later ones.
  #brought({ body }) {
    const known = (choice) => ({ ...choice, last_review: this.#lastReviews.get(choice.creative) ?? choice.last_review });
    if (body.choices) return { ...body, choices: body.choices.map(known) };
    return body.creative ? known(body) : body;
  }

  #stored(message, answer) {
    const outcomes = answer.decided ?? [{ creative: message.creatives[0], review: answer, error: null }];
    for (const { creative, review } of outcomes) if (review) this.#lastReviews.set(creative, review.id);
    const left = outcomes.filter((outcome) => outcome.error);
    if (left.length) {
      notify(`${left.length} of ${outcomes.length} not stored: ${left[0].error}`, "bad");
      this.dispatchEvent(new CustomEvent("left-out", { detail: { ...message, creatives: left.map((outcome) => outcome.creative) } }));
    }
    this.dispatchEvent(new CustomEvent("stored", { detail: message }));
  }

  #add(message) {
    this.#save([...this.waiting, message]);
    this.send();
  }

  #drop(key) {
    this.#save(this.waiting.filter((message) => message.key !== key));
  }

  #save(messages) {
    localStorage.setItem(this.#name, JSON.stringify(messages));
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
