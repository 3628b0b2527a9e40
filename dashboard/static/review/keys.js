// Single keys, which can be turned off (they get in the way of some screen readers and of speech),
// and the choice of a reason.

const OFF = "adloom.keys.off";

export const areOn = () => localStorage.getItem(OFF) === null;

/** Calls `acts[key]()` where a key is pressed outside of fields and dialogs. Notes each in `log`. */
export function onKeys(acts, log = []) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || !areOn()) return;
    if (event.target.closest("input:not([type=checkbox]), select, textarea, dialog")) return;
    if (event.target.closest("summary, button, a") && [" ", "Enter"].includes(event.key)) return;
    const act = acts[event.key] ?? acts[event.key.toLowerCase()];
    if (!act) return;
    event.preventDefault();
    log.push({ key: event.key, at: Math.round(performance.now()) });
    act();
  });
  const dialog = document.getElementById("keys");
  const isOn = dialog.querySelector("[name=keys-on]");
  isOn.checked = areOn();
  isOn.addEventListener("change", () => {
    if (isOn.checked) localStorage.removeItem(OFF); else localStorage.setItem(OFF, "yes");
  });
}

export const showKeys = () => document.getElementById("keys").showModal();

/** Asks for a reason by one key or a tap; resolves to its code, or null. `log` notes the key. */
export function chooseReason(log = []) {
  const dialog = document.getElementById("reasons");
  const buttons = [...dialog.querySelectorAll("button[data-key]")];
  return new Promise((resolve) => {
    const pressed = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const button = buttons.find((candidate) => candidate.dataset.key === event.key.toLowerCase());
      if (!button) return;
      event.preventDefault();
      log.push({ key: event.key, at: Math.round(performance.now()) });
      dialog.close(button.value);
    };
    dialog.returnValue = "";
    dialog.addEventListener("keydown", pressed);
    dialog.addEventListener("close", () => {
      dialog.removeEventListener("keydown", pressed);
      resolve(dialog.returnValue || null);
    }, { once: true });
    dialog.showModal();
    buttons[0]?.focus();
  });
}
