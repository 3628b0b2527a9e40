// What every page has: times in the reader's zone, the theme, word of a lost connection; and what
// pages' own modules use: `ask`, `live`, `notify`, `confirmed`.

const HEALTH_EVERY_MS = 10_000;
const HEALTH_AGAIN_MS = 3_000;
const HEALTH_WITHIN_MS = 8_000; // what is cut off refuses nothing: it only does not answer

/** The session's token against forged requests. */
export const csrfToken = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

/** Of requests that an open page makes by itself. */
export const UNATTENDED = { "X-Unattended": "1" };

/** What the server said against a request. `status` 0: it did not answer. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? "The server does not answer.");
    this.status = status;
    this.hint = problem.hint ?? "";
    this.problems = problem.problems ?? [];
  }
}

/**
 * Fetches JSON from a path of ours; `body` is sent as JSON, a FormData as it is.
 * `unattended`: nobody has asked for it, so that it keeps no session alive.
 * Throws Refused. A session that has ended leads to the sign-in page.
 */
export async function ask(path, { method = "GET", body, signal, unattended = false } = {}) {
  const headers = { Accept: "application/json", "X-CSRF-Token": csrfToken(), ...(unattended ? UNATTENDED : {}) };
  const isForm = body instanceof FormData;
  if (body !== undefined && !isForm) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, {
      method, headers, signal, credentials: "same-origin",
      body: body === undefined || isForm ? body : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(0, {});
  }
  if (response.status === 401) signInAgain();
  const said = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, said);
  return said;
}

function signInAgain() {
  location.assign(`/sign-in?next=${encodeURIComponent(location.pathname + location.search)}`);
}

/**
 * Follows a stream of events (dashboard/run_watch.py) and calls `onValue` with each value.
 * Says so when the connection is lost, and takes it up again. While nobody sees the page it holds
 * none: a browser has six to a server, and the seventh tab would not load.
 */
export function live(path, onValue) {
  let source, again, ended = false, wait = 1000;
  const open = () => {
    suspend();
    if (ended || document.visibilityState === "hidden") return;
    source = new EventSource(path);
    source.onopen = () => { wait = 1000; };
    source.onmessage = (event) => { trouble("live", ""); onValue(JSON.parse(event.data)); };
    source.addEventListener("trouble", (event) => trouble("live", JSON.parse(event.data).message));
    source.addEventListener("end", (event) => {
      ended = true;
      source.close();
      if (JSON.parse(event.data).message === "signed out") signInAgain();
    });
    source.onerror = () => {
      trouble("live", "The connection is lost.");
      if (ended || source.readyState !== EventSource.CLOSED) return; // it tries again by itself
      again = setTimeout(open, wait);
      wait = Math.min(wait * 2, 15_000);
    };
  };
  function suspend() {
    clearTimeout(again);
    source?.close();
  }
  open();
  document.addEventListener("visibilitychange", open);
  addEventListener("pagehide", suspend);
  addEventListener("pageshow", (event) => { if (event.persisted) open(); });
}

const troubles = new Map();

/** Shows that something is amiss, or with an empty message that it no longer is. */
export function trouble(which, message) {
  const before = troubles.size;
  if (message) troubles.set(which, message); else troubles.delete(which);
  const bar = document.getElementById("connection");
  bar.hidden = troubles.size === 0;
  const shown = troubles.size ? `${[...new Set(troubles.values())].join(" ")} What is shown may be old; trying again.` : "";
  if (bar.textContent !== shown) bar.textContent = shown;
  if (before && !troubles.size) document.dispatchEvent(new CustomEvent("adloom:recovered"));
}

async function watchHealth() {
  let next = HEALTH_EVERY_MS;
  if (document.visibilityState === "visible") {
    try {
      const found = await ask("/api/v1/health", { unattended: true, signal: AbortSignal.timeout(HEALTH_WITHIN_MS) });
      trouble("health", found.prefect === "failing" ? "Prefect does not answer." : "");
    } catch (error) {
      const unanswered = error.status === 0 || error.status >= 500;
      trouble("health", unanswered ? error.message : "");
      next = HEALTH_AGAIN_MS;
    }
  }
  setTimeout(watchHealth, next);
}

/** A short message that goes away; `tone` good | warn | bad. */
export function notify(message, tone = "good") {
  const notice = document.createElement("div");
  notice.className = `notice ${tone}`;
  notice.textContent = message;
  document.getElementById("notices").append(notice);
  setTimeout(() => notice.remove(), tone === "bad" ? 12_000 : 5_000);
}

/** Asks in a dialog; resolves to whether it was confirmed. */
export function confirmed(question, { act = "Go ahead", danger = false } = {}) {
  const dialog = document.createElement("dialog");
  const text = document.createElement("p");
  text.textContent = question;
  text.id = "dialog-question";
  dialog.setAttribute("aria-labelledby", text.id);
  const form = document.createElement("form");
  form.method = "dialog";
  form.className = "actions";
  for (const [value, label, style] of [["no", "Cancel", ""], ["yes", act, danger ? "danger" : "primary"]]) {
    const button = document.createElement("button");
    button.value = value;
    button.textContent = label;
    button.className = style;
    form.append(button);
  }
  dialog.append(text, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => { dialog.remove(); resolve(dialog.returnValue === "yes"); });
  });
}

const ZONED = {
  short: { dateStyle: "short", timeStyle: "short" },
  long: { dateStyle: "medium", timeStyle: "medium" },
};

/** Shows the times within `root` in the reader's zone; UTC stays in their title. */
export function showTimes(root = document) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const when = new Date(element.dateTime);
    if (Number.isNaN(when.getTime())) continue;
    element.textContent = element.dataset.style === "ago"
      ? ago(when)
      : new Intl.DateTimeFormat(undefined, ZONED[element.dataset.style] ?? ZONED.short).format(when);
  }
}

function ago(when) {
  const seconds = (when.getTime() - Date.now()) / 1000;
  const unit = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]]
    .find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  return new Intl.RelativeTimeFormat(undefined, { numeric: "auto" })
    .format(Math.round(seconds / unit[1]), unit[0]);
}

function toggleTheme() {
  const root = document.documentElement;
  const isDark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  const secure = location.protocol === "https:" ? "; Secure" : "";
  document.cookie = `adloom_theme=${root.dataset.theme}; Path=/; Max-Age=31536000; SameSite=Lax${secure}`;
}

// Forms: <form data-confirm="Retry 12 items?"> asks first; one that was sent is not sent twice.
document.addEventListener("submit", async (event) => {
  if (event.defaultPrevented) return; // a page’s own module sends it
  const form = event.target;
  if (form.dataset.sent) { event.preventDefault(); return; }
  if (form.dataset.confirm && !form.dataset.confirmed) {
    event.preventDefault();
    const danger = form.querySelector(".danger") !== null;
    if (!await confirmed(form.dataset.confirm, { danger })) return;
    form.dataset.confirmed = "yes";
    form.requestSubmit(event.submitter);
    return;
  }
  if (form.method === "post") form.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    delete form.dataset.confirmed;
  }
});

document.querySelector("[data-theme-toggle]")?.addEventListener("click", toggleTheme);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") document.querySelector("details.menu[open]")?.removeAttribute("open");
});
document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
showTimes();
if (document.body.hasAttribute("data-signed-in")) setTimeout(watchHealth, HEALTH_AGAIN_MS);
