// Shows one actor beside the list: what it is, what can be done, and how a session's turns went in time.

import { api, durationText, el, fullTimeText, iconButton, timeText } from "./common.js";
import { bytesText, doingText, worryOf } from "./actors.js";
import { acts } from "./acting.js";

const CHANNELS = new Set(["websocket", "http"]);
const AGAIN_MS = 700;
const TURNS = 15;

/** The panel. */
export class Detail {
  /**
   * @param {HTMLElement} place
   * @param {{prefix: string, logs: function(Object), closed: function()}} page
   */
  constructor(place, page) {
    this.place = place;
    this.page = page;
    this.name = null;
    this.timer = null;
    this.place.addEventListener("keydown", (event) => event.key === "Escape" && this.close());
  }

  open(name, actor) {
    if (this.name === name) {
      this.place.focus();
      return;
    }
    this.opener = document.activeElement;
    this.name = name;
    this.isSession = actor ? actor.kind === "session" : true;
    this.written = "";
    this.facts = el("dl", { class: "facts" });
    this.worry = el("p", { class: "worry-text", role: "status", hidden: true });
    this.buttons = el("div", { class: "row wrap" });
    this.turns = el("ol", { class: "turns" });
    this.turnsStatus = el("p", { class: "quiet", role: "status" });
    this.place.replaceChildren(
      el(
        "div",
        { class: "detail-head" },
        el("h2", { id: "detail-title" }, name),
        iconButton("close", "Close", () => this.close()),
      ),
      this.worry,
      this.buttons,
      this.facts,
      ...(this.isSession ? [el("h3", {}, "Turns"), this.turnsStatus, this.turns] : []),
    );
    this.place.hidden = false;
    this.show(actor, 0, Date.now() / 1000);
    this.place.focus();
    this.refresh();
  }

  close() {
    if (this.name === null) return;
    this.name = null;
    this.place.hidden = true;
    this.place.replaceChildren();
    if (this.opener?.isConnected) this.opener.focus();
    this.page.closed();
  }

  /** The actor as it is now; undefined: it has no process. */
  show(actor, memory, now) {
    if (this.name === null) return;
    const worry = actor ? worryOf(actor, now) : null;
    this.worry.hidden = !worry;
    this.worry.dataset.level = worry?.level ?? "";
    if (this.worry.textContent !== (worry?.text ?? "")) this.worry.textContent = worry?.text ?? "";
    const facts = actor
      ? [
          ["State", actor.state],
          ["Doing", doingText(actor, now)],
          ["Waiting messages", String(actor.mailbox_depth)],
          ["Memory", bytesText(memory)],
          ["Pid", actor.pid === null ? "none" : String(actor.pid)],
          ["Incarnation", String(actor.incarnation || "–")],
          ["Restarts", String(actor.restarts)],
          ["Since", fullTimeText(actor.since)],
          ["Last process ended", actor.reason || "–"],
        ]
      : [["State", "stored; it has no process"]];
    const text = JSON.stringify(facts);
    if (text !== this.written) {
      this.written = text;
      this.facts.replaceChildren(
        ...facts.map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))),
      );
    }
    const kinds = this.actionsFor(actor).map(([label]) => label).join();
    if (kinds !== this.buttons.dataset.kinds) {
      this.buttons.dataset.kinds = kinds;
      this.buttons.replaceChildren(
        ...this.actionsFor(actor).map(([label, act, style]) =>
          typeof act === "string"
            ? el("a", { class: "button", href: act }, label)
            : el("button", { type: "button", class: `small ${style ?? ""}`, onclick: act }, label),
        ),
      );
    }
  }

  actionsFor(actor) {
    const { name } = this;
    if (!this.isSession) {
      const actions = [["Restart", () => acts.restart(name, false)]];
      if (CHANNELS.has(name) && actor?.state !== "stopped") actions.push(["Stop", () => acts.stopService(name), "danger"]);
      actions.push(["Its log", () => this.page.logs({ contains: name })]);
      return actions;
    }
    const actions = [];
    if (actor && (actor.activity !== "idle" || actor.mailbox_depth || actor.silent_since)) {
      actions.push(["End turn", () => acts.endTurn(name)]);
    }
    if (actor) actions.push(["Restart", () => acts.restart(name, true)]);
    if (actor && actor.activity === "idle" && actor.pid !== null) actions.push(["Leave memory", () => acts.leave(name)]);
    actions.push(["Its log", () => this.page.logs({ session: name })]);
    if (name.startsWith(this.page.prefix)) {
      actions.push(["Open in chat", `/#s=${encodeURIComponent(name.slice(this.page.prefix.length))}`]);
    }
    actions.push(["Delete", async () => (await acts.remove(name)) && this.close(), "danger"]);
    return actions;
  }

  /** The session has done something: its turns are read again, soon. */
  changed(name) {
    if (name !== this.name || !this.isSession || this.timer) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      this.refresh();
    }, AGAIN_MS);
  }

  async refresh() {
    const { name } = this;
    if (name === null || !this.isSession) return;
    let found;
    try {
      found = await api("GET", `/sessions/${encodeURIComponent(name)}/timeline`, { query: { last: TURNS } });
    } catch (problem) {
      if (this.name === name) this.turnsStatus.textContent = problem.text ?? String(problem);
      return;
    }
    if (this.name !== name) return;
    this.turnsStatus.textContent = found.turns.length ? "" : "None is recorded yet.";
    this.turns.replaceChildren(...found.turns.map((turn) => this.turn(turn)));
  }

  turn(turn) {
    const now = Date.now() / 1000;
    const total = turn.turn_seconds;
    const took = total === null ? "" : durationText(total);
    const parts = [
      ["queued", turn.queued_seconds],
      ["model", turn.model_seconds],
      ["tools", turn.tool_seconds],
      ["asked a person", turn.approval_seconds],
      ["of it the gateway's own", turn.overhead_seconds],
    ].filter(([, seconds]) => seconds > 0.0005);
    const more = turn.attempts > 1 ? `, attempt ${turn.attempts}` : "";
    return el(
      "li",
      { class: "turn", "data-status": turn.status },
      el(
        "div",
        { class: "turn-head" },
        el("span", { class: "turn-status" }, turn.status + more),
        el("span", { class: "quiet" }, `${timeText(turn.accepted_at ?? now)}${took ? ` · ${took}` : ""}`),
      ),
      chart(turn, now),
      el("p", { class: "quiet parts" }, parts.map(([what, seconds]) => `${what} ${short(seconds)}`).join(" · ")),
      steps(turn),
      el(
        "button",
        { type: "button", class: "link small-link", onclick: () => this.page.logs({ correlation: turn.correlation_id }) },
        "Log lines",
      ),
    );
  }
}

function short(seconds) {
  return seconds < 1 ? `${Math.max(1, Math.round(seconds * 1000))} ms` : durationText(seconds);
}

const SVG = "http://www.w3.org/2000/svg";
const SPANS = new Set(["queued", "model", "tool", "approval"]);

/** Where the time of a turn went, as bars. */
function chart(turn, now) {
  const begin = turn.accepted_at ?? turn.began_at ?? now;
  const end = turn.ended_at ?? now;
  const length = Math.max(end - begin, 0.001);
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", "0 0 400 10");
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("class", "chart");
  drawing.setAttribute("aria-hidden", "true"); // the list of steps says it in words
  for (const step of turn.steps) {
    if (!SPANS.has(step.kind)) continue;
    const bar = document.createElementNS(SVG, "rect");
    const seconds = step.seconds ?? now - step.at;
    bar.setAttribute("x", String(Math.max(0, ((step.at - begin) / length) * 400)));
    bar.setAttribute("width", String(Math.max(1.5, (seconds / length) * 400)));
    bar.setAttribute("y", step.kind === "tool" ? "5" : "0");
    bar.setAttribute("height", step.kind === "tool" ? "5" : "10");
    bar.setAttribute("class", `bar-${step.kind}`);
    drawing.append(bar);
  }
  return drawing;
}

const WORDS = {
  accepted: "accepted",
  queued: "waited in the queue",
  started: "began",
  model: "model call",
  approval: "asked a person about",
  tool: "tool",
  process: "taken over by",
  answered: "answered",
};

function steps(turn) {
  const begin = turn.accepted_at ?? turn.began_at ?? 0;
  return el(
    "details",
    {},
    el("summary", {}, `${turn.steps.length} steps`),
    el(
      "ol",
      { class: "steps" },
      ...turn.steps.map((step) =>
        el(
          "li",
          {},
          el("span", { class: "offset quiet" }, `+${(step.at - begin).toFixed(3)} s`),
          el("span", {}, [WORDS[step.kind], step.name].filter(Boolean).join(" ")),
          el(
            "span",
            { class: "quiet" },
            [step.seconds === null ? (SPANS.has(step.kind) ? "goes on" : "") : short(step.seconds), step.status]
              .filter(Boolean)
              .join(", "),
          ),
        ),
      ),
    ),
  );
}
