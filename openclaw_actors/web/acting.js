// Carries out what an operator wants done, after asking whether it is meant.

import { api, el, toast } from "./common.js";

/**
 * Ask whether something is meant.
 * @param {{title: string, text: string, action: string, danger?: boolean}} question
 * @returns {Promise<boolean>}
 */
export function isMeant({ title, text, action, danger = false }) {
  return new Promise((resolve) => {
    let answer = false;
    const button = el(
      "button",
      {
        type: "button",
        class: danger ? "danger" : "primary",
        onclick() {
          answer = true;
          dialog.close();
        },
      },
      action,
    );
    const dialog = el(
      "dialog",
      {
        class: "dialog",
        "aria-labelledby": "question-title",
        "aria-describedby": "question-text",
        onclose() {
          dialog.remove();
          resolve(answer);
        },
      },
      el("h2", { id: "question-title" }, title),
      el("p", { id: "question-text" }, text),
      el("div", { class: "row end" }, el("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), button),
    );
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
    document.body.append(dialog);
    dialog.showModal();
    button.focus();
  });
}

const part = encodeURIComponent;

/** What can be done; each asks first, and tells what came of it. Returns whether it was done. */
export const acts = {
  restart(name, isSession) {
    const everything = name === "supervisor";
    return act(
      {
        title: `Restart ${name}?`,
        text: everything
          ? "Every actor ends and starts again, this page's connection included. Nothing that was accepted is lost."
          : isSession
            ? "Its process is killed. The next one continues at its last record; a running turn starts again."
            : "Its process is killed and another one started. What was accepted is not lost.",
        action: "Restart",
      },
      isSession ? ["POST", `/sessions/${part(name)}/restart`] : ["POST", `/actors/${part(name)}/restart`],
    );
  },

  endTurn(name) {
    return act(
      {
        title: `End the running turn of ${name}?`,
        text: "Whoever waits for its answer is told that it was stopped. Messages that wait behind it are answered.",
        action: "End turn",
      },
      ["POST", `/sessions/${part(name)}/stop`, { body: {} }],
    );
  },

  leave(name) {
    return act(
      {
        title: `Let ${name} leave memory?`,
        text: "Its process ends. The conversation stays stored and comes back with its next message.",
        action: "Let it leave",
      },
      ["POST", `/actors/${part(name)}/stop`],
    );
  },

  stopService(name) {
    return act(
      {
        title: `Stop ${name}?`,
        text:
          name === "http"
            ? "This page is served by it: it ends with it, until somebody runs `actors restart http`."
            : "Nobody is served by it until it is restarted.",
        action: "Stop",
        danger: true,
      },
      ["POST", `/actors/${part(name)}/stop`],
    );
  },

  remove(name) {
    return act(
      {
        title: `Delete ${name}?`,
        text: "What runs in it is stopped, and the conversation moves to the archive, from where it can be restored.",
        action: "Delete",
        danger: true,
      },
      ["DELETE", `/sessions/${part(name)}`],
      (done) => `moved to the archive as ${done.archives.map((each) => each.archive).join(", ")}`,
    );
  },

  purge(name) {
    return act(
      {
        title: `Remove ${name} for good?`,
        text: "The conversation, and every damaged file that was set aside under its key, are removed. Nothing brings them back.",
        action: "Remove for good",
        danger: true,
      },
      ["DELETE", `/sessions/${part(name)}`, { query: { purge: true } }],
      () => "removed for good",
    );
  },

  decide(approval, approved) {
    const word = approved ? "approve" : "deny";
    return act(
      {
        title: approved ? `Let ${approval.name} run?` : `Do not let ${approval.name} run?`,
        text: `In ${approval.session}, with ${approval.arguments.slice(0, 500)}`,
        action: approved ? "Approve" : "Deny",
        danger: !approved,
      },
      ["POST", `/approvals/${part(approval.approval_id)}/${word}`],
    );
  },

  retryReply(entry) {
    return act(
      {
        title: `Try the reply to ${entry.session} again?`,
        text:
          entry.state === "ambiguous"
            ? "The carrier is asked first whether it has it. What it does not show is sent, labelled as a possible repetition."
            : "It is sent from the part on that was refused.",
        action: "Try again",
      },
      ["POST", `/outbox/${part(entry.session)}/${entry.seq}/retry`],
      () => "tried again",
    );
  },

  purgeReply(entry) {
    return act(
      {
        title: `Forget the reply to ${entry.session}?`,
        text: "It is not sent any more. It stays in its conversation.",
        action: "Forget",
        danger: true,
      },
      ["DELETE", `/outbox/${part(entry.session)}/${entry.seq}`],
      () => "forgotten",
    );
  },
};

async function act(question, [method, path, options], told = (done) => done.text) {
  if (!(await isMeant(question))) return false;
  try {
    toast(told(await api(method, path, options)) || "Done.");
    return true;
  } catch (problem) {
    toast(problem.text ?? String(problem));
    return false;
  }
}
