// What was decided and is not stored yet. It outlives the page, is sent in order, each under a key
// of its own so that sending twice does nothing twice, and is never dropped without a word.

import { ask, notify } from "/static/app.js";

const AGAIN_MS = [1000, 2000, 5000, 10_000, 30_000];
const PATH = "/api/v1/review/decisions";

/** A key that nobody has used. */
export const newKey = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

// Each message has an entry of its own: two pages of one person take nothing from one another.
// Where the browser keeps nothing (private windows, no room) they live as long as the page.
const inMemory = new Map();

function keep(name, message) {
  const text = JSON.stringify(message);
  try {
    localStorage.setItem(name, text);
  } catch {
    inMemory.set(name, text);
  }
}

function forget(name) {
  inMemory.delete(name);
  localStorage.removeItem(name);
}

const keptUnder = (prefix) => [...Object.entries(localStorage), ...inMemory]
  .filter(([name]) => name.startsWith(prefix))
  .sort(([one], [other]) => (one < other ? -1 : 1))
  .map(([name, text]) => ({ name, ...JSON.parse(text) }));

export class Outbox extends EventTarget {
  #prefix;
  #count = 0;
  #sending = null;
  #failures = 0;
  #timer = 0;
  #lastReviews = new Map(); // creative -> number of the newest review of its image

  constructor(person) {
    super();
    this.#prefix = `adloom.outbox.${person} `;
    addEventListener("online", () => this.send());
    document.addEventListener("adloom:recovered", () => this.send());
    addEventListener("storage", (event) => { if (event.key?.startsWith(this.#prefix)) this.#changed(); });
    this.send();
  }

  /** The messages that are not answered yet, oldest first. */
  get waiting() {
    return keptUnder(this.#prefix);
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
    const unsent = this.waiting.find((message) => message.key === key);
    if (unsent && !unsent.tried && this.#sending !== key) {
      this.#drop(unsent);
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
      keep(message.name, { ...message, tried: true }); // it may arrive though no answer does
      try {
        this.#stored(message, await ask(message.path, { method: "POST", body: this.#brought(message) }));
        this.#failures = 0;
        this.#drop(message);
      } catch (error) {
        if (error.status === 401 || error.status === 403) {
          // Signed out, or in anew elsewhere: it is sent when the page is loaded again.
          notify(`Not stored yet: ${error.message} Load the page again.`, "bad");
          return;
        }
        const isOutage = !error.status || error.status >= 500 || error.status === 429;
        if (isOutage) {
          this.#timer = setTimeout(() => this.send(), AGAIN_MS[Math.min(this.#failures++, AGAIN_MS.length - 1)]);
          this.#changed();
          return;
        }
        this.#drop(message);
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
    const order = String(Date.now()).padStart(15, "0") + String(this.#count++).padStart(6, "0");
    keep(`${this.#prefix}${order}`, message);
    this.#changed();
    this.send();
  }

  #drop(message) {
    forget(message.name);
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
