// Elements made of values. Text is always text: nothing that a catalogue says becomes markup.

/** `make("p", { class: "faint" }, "text", child)` */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const words = (code) => code.replaceAll("_", " ");

export const number = (value) => (value === null || value === undefined ? "missing" : Number(value).toPrecision(3));

/** "model.identity 0.575, wanted at least 0.57" */
export function reasonWords({ score, value, min, max }) {
  const bounds = [min === null ? "" : `at least ${number(min)}`, max === null ? "" : `at most ${number(max)}`].filter(Boolean);
  return `${score} ${number(value)}${bounds.length ? `, wanted ${bounds.join(" and ")}` : ""}`;
}

export const described = (item) => `${item.product.title}, ${words(item.scene)}, ${item.format}`;

const TONES = { approved: "good", rejected: "bad", needs_review: "warn", skipped: "plain" };

export function badge(state) {
  return make("span", { class: `badge ${TONES[state] ?? "plain"}`, "data-state": state }, words(state));
}

/** Tells those who hear the page what happened. */
export function say(message) {
  const region = document.getElementById("said");
  region.textContent = "";
  requestAnimationFrame(() => { region.textContent = message; });
}
