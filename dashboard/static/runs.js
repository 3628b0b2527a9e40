// Rows of runs that change while one looks: the list, and a run's own page.
import { live } from "/static/app.js";

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

const table = document.querySelector("table[data-runs]");
if (table) {
  let newest = Math.max(0, ...[...table.querySelectorAll("[data-run]")].map((row) => Number(row.dataset.run)));
  live(table.dataset.runs, (runs) => {
    for (const run of runs) {
      const row = table.querySelector(`[data-run="${run.id}"]`);
      if (row) show(row, run);
      else if (run.id > newest) { newest = run.id; announce(run); }
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
    for (const run of runs) if (run.id === id) show(page, run);
  });
}
