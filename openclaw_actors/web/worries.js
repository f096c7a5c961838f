// Shows what needs a person: actors that are stuck, tools that wait, replies that were not sent, damaged conversations.

import { api, durationText, el, timeText } from "./common.js";
import { worryOf } from "./actors.js";
import { acts } from "./acting.js";

const LOOK_EVERY_MS = 15_000;
const SHOWN = 20;

/** The list at the top of the page. */
export class Worries {
  /** @param {{list: HTMLElement, calm: HTMLElement}} parts @param {function(string)} open shows an actor */
  constructor(parts, open) {
    this.parts = parts;
    this.open = open;
    this.lines = new Map();
    this.approvals = [];
    this.replies = [];
    this.counts = {};
    this.damaged = [];
    this.soon = null;
  }

  start() {
    this.look();
    setInterval(() => !document.hidden && this.look(), LOOK_EVERY_MS);
  }

  /** What is no actor's state has to be asked for: soon, but not for each of many changes. */
  lookSoon() {
    this.soon ??= setTimeout(() => {
      this.soon = null;
      this.look();
    }, 300);
  }

  async look() {
    const asked = [
      ["approvals", () => api("GET", "/approvals"), (found) => found.waiting],
      ["dead", () => api("GET", "/outbox", { query: { state: "dead", limit: SHOWN } }), (found) => found],
      ["ambiguous", () => api("GET", "/outbox", { query: { state: "ambiguous", limit: SHOWN } }), (found) => found],
      ["damaged", () => api("GET", "/sessions", { query: { state: "quarantined", limit: SHOWN } }), (found) => found],
    ];
    const answers = await Promise.all(
      asked.map(([, ask, take]) => ask().then(take, () => null)), // what cannot be had stays as it was
    );
    const [approvals, dead, ambiguous, damaged] = answers;
    if (approvals) this.approvals = approvals;
    if (dead && ambiguous) {
      this.replies = [...dead.entries, ...ambiguous.entries];
      this.repliesTotal = dead.total + ambiguous.total;
    }
    if (damaged) {
      this.damaged = damaged.sessions;
      this.damagedTotal = damaged.total;
    }
    this.onchange?.();
  }

  /** Show what there is now. */
  show(actors, now) {
    const wanted = [];
    const asking = new Set(this.approvals.map((approval) => approval.session));
    for (const actor of actors) {
      const worry = worryOf(actor, now);
      if (!worry || (actor.activity === "waiting" && asking.has(actor.name))) continue;
      wanted.push(this.ofActor(actor, worry));
    }
    wanted.sort((one, other) => (one.level === other.level ? 0 : one.level === "bad" ? -1 : 1));
    wanted.push(...this.approvals.map((approval) => this.ofApproval(approval, now)));
    wanted.push(...this.replies.map((entry) => this.ofReply(entry)));
    wanted.push(...this.damaged.map((session) => this.ofDamaged(session)));
    const shown = wanted.slice(0, SHOWN);
    const left = wanted.length - shown.length + (this.repliesTotal ?? 0) - this.replies.length + (this.damagedTotal ?? 0) - this.damaged.length;
    if (left > 0) shown.push({ key: "more", level: "warn", name: "", text: `and ${left} more`, actions: [] });
    this.write(shown);
    return wanted.length;
  }

  ofActor(actor, worry) {
    const isSession = actor.kind === "session";
    const actions = [["Restart", () => acts.restart(actor.name, isSession)]];
    if (isSession && (actor.activity !== "idle" || actor.silent_since)) {
      actions.unshift(["End turn", () => acts.endTurn(actor.name)]);
    }
    return { key: `actor ${actor.name}`, level: worry.level, name: actor.name, text: worry.text, actions, opens: true };
  }

  ofApproval(approval, now) {
    const since = durationText(Math.max(0, now - approval.asked_at));
    return {
      key: `approval ${approval.approval_id}`,
      level: "warn",
      name: approval.session,
      text: `asks whether ${approval.name} may run, for ${since}: ${approval.arguments.slice(0, 200)}`,
      opens: true,
      actions: [
        ["Approve", async () => (await acts.decide(approval, true)) && this.look()],
        ["Deny", async () => (await acts.decide(approval, false)) && this.look()],
      ],
    };
  }

  ofReply(entry) {
    const what = entry.state === "dead" ? "was not sent" : "may not have been sent";
    return {
      key: `reply ${entry.session} ${entry.seq}`,
      level: "bad",
      name: entry.session,
      text: `A reply ${what} (${timeText(entry.at)})${entry.reason ? `: ${entry.reason}` : ""}`,
      actions: [
        ["Try again", async () => (await acts.retryReply(entry)) && this.look()],
        ["Forget", async () => (await acts.purgeReply(entry)) && this.look()],
      ],
    };
  }

  ofDamaged(session) {
    return {
      key: `damaged ${session.session}`,
      level: "bad",
      name: session.session,
      text: "Its stored conversation is damaged and was set aside; nothing was thrown away.",
      actions: [
        ["Archive", async () => (await acts.remove(session.session)) && this.look()],
        ["Remove", async () => (await acts.purge(session.session)) && this.look()],
      ],
    };
  }

  write(wanted) {
    const { list, calm } = this.parts;
    const keys = new Set(wanted.map((each) => each.key));
    for (const [key, line] of this.lines) {
      if (keys.has(key)) continue;
      line.node.remove();
      this.lines.delete(key);
    }
    let before = null;
    for (const each of wanted) {
      let line = this.lines.get(each.key);
      const actions = each.actions.map(([label]) => label).join();
      if (!line || line.actions !== actions) {
        line?.node.remove();
        line = this.made(each);
        line.actions = actions;
        this.lines.set(each.key, line);
      }
      if (line.text.textContent !== each.text) line.text.textContent = each.text;
      line.node.dataset.level = each.level;
      const place = before ? before.nextSibling : list.firstChild;
      if (line.node !== place) list.insertBefore(line.node, place);
      before = line.node;
    }
    calm.hidden = wanted.length > 0;
  }

  made(each) {
    const text = el("span", { class: "why" }, each.text);
    const name = each.opens
      ? el("button", { type: "button", class: "link", onclick: () => this.open(each.name) }, each.name)
      : el("span", { class: "who" }, each.name);
    const buttons = each.actions.map(([label, act]) =>
      el("button", { type: "button", class: "small", "aria-label": `${label}: ${each.name}`, onclick: act }, label),
    );
    const node = el("li", { class: "worry" }, name, text, el("span", { class: "row" }, ...buttons));
    return { node, text };
  }
}
