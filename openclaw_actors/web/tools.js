// Shows what tools an answer has called: a folding card each, and the question whether one may run.

import { announce, el, icon } from "./common.js";

const STATES = {
  asks: "asks for your approval",
  running: "running…",
  ok: "done",
  completed: "done",
  denied: "not allowed",
  over: "ended",
};
const BAD = new Set(["error", "failed", "denied", "timeout", "interrupted"]);

export class ToolCards {
  /** @param {{decide: function(Object, boolean)}} actions */
  constructor(actions) {
    this.actions = actions;
    this.node = el("div", { class: "tools" });
    this._cards = new Map();
  }

  update(tools) {
    for (const tool of tools) {
      let card = this._cards.get(tool.callId);
      if (card === undefined) {
        card = new ToolCard(this.actions);
        this._cards.set(tool.callId, card);
        this.node.append(card.node);
      }
      card.update(tool);
    }
  }
}

class ToolCard {
  constructor(actions) {
    this.actions = actions;
    this.name = el("span", { class: "tool-name" });
    this.brief = el("span", { class: "tool-brief" });
    this.state = el("span", { class: "tool-state" });
    this.asked = el("pre", { tabIndex: 0, "aria-label": "Arguments" });
    this.gave = el("pre", { tabIndex: 0, "aria-label": "Result" });
    this.gaveLabel = el("h4", {}, "Result");
    this.details = el(
      "details",
      {},
      el("summary", {}, icon("tool"), this.name, this.brief, this.state),
      el("div", { class: "tool-inside" }, el("h4", {}, "Arguments"), this.asked, this.gaveLabel, this.gave),
    );
    this.ask = el("div", { class: "approval", role: "group" });
    this.node = el("div", { class: "tool" }, this.details, this.ask);
  }

  update(tool) {
    const shown = JSON.stringify(tool);
    if (shown === this._shown) return;
    const asked = this._status;
    this._shown = shown;
    this._status = tool.status;
    this.node.dataset.status = tool.status;
    this.node.classList.toggle("bad", BAD.has(tool.status));
    this.name.textContent = tool.name;
    this.brief.textContent = tool.arguments === "{}" ? "" : tool.arguments.slice(0, 200);
    this.state.textContent = STATES[tool.status] ?? tool.status;
    this.asked.textContent = pretty(tool.arguments);
    this.gave.textContent = tool.text ?? "";
    this.gave.hidden = this.gaveLabel.hidden = tool.text === null;
    this._showQuestion(tool);
    if (tool.status === "asks" && asked !== "asks") {
      this.details.open = true;
      announce(`The tool ${tool.name} asks for your approval.`);
    } else if (asked === "asks" && tool.status !== "asks") this.details.open = false;
  }

  _showQuestion(tool) {
    this.ask.hidden = tool.status !== "asks";
    if (this.ask.hidden) return this.ask.replaceChildren();
    this.ask.setAttribute("aria-label", `Whether ${tool.name} may run`);
    const button = (label, approved) =>
      el(
        "button",
        {
          type: "button",
          class: approved ? "primary" : "",
          disabled: tool.deciding !== null && tool.deciding !== undefined,
          onclick: () => this.actions.decide(tool, approved),
        },
        label,
      );
    this.ask.replaceChildren(
      el("span", {}, tool.deciding ? "Telling the gateway…" : `May ${tool.name} run with these arguments?`),
      button("Approve", true),
      button("Deny", false),
    );
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
