// Small questions and the list of shortcuts.

import { el } from "./common.js";

const SHORTCUTS = [
  ["Enter", "send"],
  ["Shift + Enter", "new line"],
  ["Esc", "stop the answer"],
  ["↑ in an empty field", "bring back your last message"],
  ["/", "write"],
  ["Ctrl + K", "search sessions"],
  ["Alt + N", "new session"],
  ["Alt + ↑ / ↓", "previous or next session"],
  ["Delete on a session", "delete it; it can be taken back"],
  ["Alt + T", "dark or light"],
  ["?", "this list"],
];

function opened(title, ...inside) {
  const dialog = el(
    "dialog",
    { class: "dialog", "aria-labelledby": "dialog-title", onclose: () => dialog.remove() },
    el("h2", { id: "dialog-title" }, title),
    ...inside,
  );
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** The shortcuts, and what else can be said. */
export function showHelp(version) {
  const rows = SHORTCUTS.map(([keys, does]) => el("div", {}, el("dt", {}, el("kbd", {}, keys)), el("dd", {}, does)));
  const dialog = opened(
    "Keyboard",
    el("dl", { class: "shortcuts" }, ...rows),
    el("p", { class: "quiet" }, "Say /help to see what the gateway itself understands. ", `Version ${version}.`),
    el(
      "div",
      { class: "row end" },
      el("button", { type: "button", class: "primary", onclick: () => dialog.close() }, "Close"),
    ),
  );
}

/**
 * Ask for one line of text.
 * @param {{title: string, label: string, hint: string, value?: string, action: string, check?: function(string): string}}
 *     question `check` says what is wrong with an answer, or nothing
 * @returns {Promise<string|null>} null: never mind
 */
export function askForText({ title, label, hint, value = "", action, check = () => "" }) {
  return new Promise((resolve) => {
    const input = el("input", { id: "dialog-input", value, "aria-describedby": "dialog-hint", autocomplete: "off" });
    const problem = el("p", { class: "bad", role: "alert" });
    let answer = null;
    const form = el(
      "form",
      {
        method: "dialog",
        onsubmit(event) {
          event.preventDefault();
          const wrong = check(input.value.trim());
          problem.textContent = wrong;
          if (wrong) return;
          answer = input.value.trim();
          dialog.close();
        },
      },
      el("label", { for: "dialog-input" }, label),
      input,
      el("p", { class: "quiet", id: "dialog-hint" }, hint),
      problem,
      el(
        "div",
        { class: "row end" },
        el("button", { type: "button", onclick: () => dialog.close() }, "Cancel"),
        el("button", { type: "submit", class: "primary" }, action),
      ),
    );
    const dialog = opened(title, form);
    dialog.addEventListener("close", () => resolve(answer));
    input.focus();
    input.select();
  });
}
