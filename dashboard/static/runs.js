// Rows of runs that change while one looks: the list, and a run's own page.
import { live, showTimes, UNATTENDED } from "/static/app.js";

const RENEWED_EVERY_MS = 3000;
const shownHtml = new Map();

const TONES = {
  complete: "good", planning: "live", rendering: "live", judging: "live",
  paused: "warn", interrupted: "warn", failed: "bad",
};

/** Shows a run's figures in the elements of `root` that bear a field's name. */
export function show(root, run) {
  for (const element of root.querySelectorAll("[data-field]")) {
    const name = element.dataset.field;
    const value = run[name];
    if (value === undefined) continue;
    if (name === "state") showState(element, value);
    else if (name === "share") element.value = value;
    else if (element.textContent !== value) element.textContent = value;
  }
}

function showState(element, state) {
  const badge = element.querySelector(".badge") ?? element.appendChild(document.createElement("span"));
  badge.className = `badge ${TONES[state] ?? "plain"}`;
  badge.dataset.state = state;
  badge.textContent = state;
}

const table = document.querySelector("[data-runs]"); // or what stands in its place
if (table) {
  let newest = Math.max(0, ...[...table.querySelectorAll("[data-run]")].map((row) => Number(row.dataset.run)));
  live(table.dataset.runs, (runs) => {
    for (const run of runs) {
      const row = table.querySelector(`[data-run="${run.id}"]`);
      if (row) show(row, run);
      else if (run.id > newest && "announces" in table.dataset) { newest = run.id; announce(run); }
    }
  });
}

function announce(run) {
  const link = document.getElementById("new-runs") ?? document.createElement("a");
  link.id = "new-runs";
  link.className = "button";
  link.href = location.href;
  link.textContent = `Run ${run.id} of ${run.campaign} has begun: show it`;
  document.querySelector(".page-head").append(link);
}

const page = document.querySelector("[data-live-run]");
if (page) {
  const id = Number(page.dataset.liveRun);
  live(`/api/v1/runs/${id}/live`, (runs) => {
    for (const run of runs) if (run.id === id) { show(page, run); renewSoon(); }
  });
  // What stands behind the figures is renewed at most so often.
  let renewedAt = Date.now(), renewing = 0, isBehind = false;
  function renewSoon() {
    if (renewing) { isBehind = true; return; } // what is being fetched may be older than this news
    renewing = setTimeout(async () => {
      isBehind = false;
      await renew(page).catch(() => {}); // the bar says that the server does not answer
      renewedAt = Date.now();
      renewing = 0;
      if (isBehind) renewSoon();
    }, Math.max(0, renewedAt + RENEWED_EVERY_MS - Date.now()));
  }
}

/** Puts what the server shows now in the place of each `[data-renewed]` that has changed. */
async function renew(root) {
  const answer = await fetch(location.href, { headers: { Accept: "text/html", ...UNATTENDED }, credentials: "same-origin" });
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const old of root.querySelectorAll("[data-renewed]")) {
    const now = fresh.getElementById(old.id);
    const html = now?.innerHTML;
    if (!now || html === shownHtml.get(old.id) || isInUse(old)) continue;
    shownHtml.set(old.id, html);
    const isOpen = [...old.querySelectorAll("details")].map((details) => details.open);
    const scrolled = [...old.querySelectorAll(".table")].map((table) => table.scrollLeft);
    old.replaceChildren(...now.childNodes);
    old.querySelectorAll("details").forEach((details, n) => { details.open = isOpen[n] ?? false; });
    old.querySelectorAll(".table").forEach((table, n) => { table.scrollLeft = scrolled[n] ?? 0; });
    showTimes(old);
  }
}

/** Whether somebody is in the middle of something there: it is renewed the next time. */
function isInUse(element) {
  const selection = getSelection();
  return element.contains(document.activeElement) || (!selection.isCollapsed && element.contains(selection.anchorNode));
}
