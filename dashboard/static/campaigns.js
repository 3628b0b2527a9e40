// The editor of campaigns: checked as one types, planned on demand; and when campaigns run next.
import { ask, showTimes } from "/static/app.js";

const CHECK_AFTER_MS = 400;

const editor = document.querySelector("[data-editor]");
if (editor) startEditor(editor);
if (document.querySelector("[data-next-run]")) showNextRuns();

function startEditor(root) {
  const text = root.querySelector("textarea");
  const problems = root.querySelector("#problems");
  const status = root.querySelector("[data-status]");
  const planned = root.querySelector("[data-planned]");
  const plan = root.querySelector("[data-plan]");
  let waiting, asked;

  async function check() {
    asked?.abort();
    asked = new AbortController();
    try {
      const found = await ask("/api/v1/campaigns/check", { method: "POST", body: { text: text.value }, signal: asked.signal });
      show(found.problems);
      status.textContent = "";
    } catch (error) {
      if (error.name !== "AbortError") status.textContent = error.message;
    }
  }

  function show(found) {
    text.setAttribute("aria-invalid", String(found.length > 0));
    root.querySelector("[data-fine]").hidden = found.length > 0;
    problems.replaceChildren(...found.map(({ line, field, message }) => {
      const item = document.createElement("li");
      const place = document.createElement("strong");
      place.textContent = line ? `line ${line}, ${field}` : field;
      item.append(place, `: ${message}`);
      if (line) item.append(" ", goTo(line));
      return item;
    }));
  }

  function goTo(line) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.textContent = "Show";
    button.addEventListener("click", () => {
      const lines = text.value.split("\n");
      const start = lines.slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
      text.focus();
      text.setSelectionRange(start, start + (lines[line - 1]?.length ?? 0));
    });
    return button;
  }

  text.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(check, CHECK_AFTER_MS);
  });
  text.addEventListener("keydown", (event) => {
    // Tab moves on, as everywhere; Enter keeps the line's indentation.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    const before = text.value.slice(0, text.selectionStart);
    const indent = /(^|\n)([ ]*)[^\n]*$/.exec(before)?.[2] ?? "";
    if (!indent) return;
    event.preventDefault();
    text.setRangeText(`\n${indent}`, text.selectionStart, text.selectionEnd, "end");
    text.dispatchEvent(new Event("input"));
  });
  plan.addEventListener("click", async () => {
    plan.disabled = true;
    planned.replaceChildren(said("The plan is being made…", "loading"));
    try {
      showPlan(planned, await ask("/api/v1/campaigns/plan", { method: "POST", body: { text: text.value } }));
    } catch (error) {
      planned.replaceChildren(said(error.message, "field-error"), said(error.hint, "faint"));
    }
    plan.disabled = false;
  });
}

function said(text, style = "") {
  const paragraph = document.createElement("p");
  paragraph.className = `${style} wrap`;
  paragraph.textContent = text;
  return paragraph;
}

function showPlan(root, plan) {
  const number = new Intl.NumberFormat();
  const hours = plan.device_seconds / 3600;
  const lines = [
    said(`${number.format(plan.slots)} creatives from ${number.format(plan.products)} products.`),
    said(`${number.format(plan.reused)} renders exist, ${number.format(plan.to_render)} are to be made.`),
    said(`About ${hours.toFixed(2)} device hours${plan.cost ? `, ${plan.cost.amount} ${plan.cost.currency}` : ""} (${plan.basis}).`),
  ];
  if (plan.over_budget) lines.push(said(`Beyond the budget of ${number.format(plan.max_renders)} renders: it would be refused.`, "field-error"));
  for (const [reason, n] of Object.entries(plan.skipped)) lines.push(said(`${number.format(n)} products are skipped: ${reason}`, "faint"));
  for (const warning of plan.warnings) lines.push(said(warning, "faint"));
  root.replaceChildren(...lines);
}

async function showNextRuns() {
  let schedule;
  try {
    schedule = await ask("/api/v1/schedule");
  } catch {
    schedule = { known: false, runs: [] };
  }
  for (const element of document.querySelectorAll("[data-next-run]")) {
    const next = schedule.runs.find((run) => run.campaign === element.dataset.nextRun);
    if (!next) {
      element.textContent = schedule.known ? "not scheduled" : "unknown: Prefect does not answer";
      continue;
    }
    const time = document.createElement("time");
    time.dateTime = next.at;
    time.title = `${new Date(next.at).toISOString().replace("T", " ").slice(0, 19)} UTC`;
    element.replaceChildren(time);
    showTimes(element);
  }
}
