// The operator's dashboard: puts its parts together.

import { api, announce, el, fullTimeText, gatewayConfig, iconButton, signIn, timeText, toggleTheme, token } from "./common.js";
import { Actors, LONG_TURN_S, worryOf } from "./actors.js";
import { acts } from "./acting.js";
import { Detail } from "./detail.js";
import { Live } from "./live.js";
import { LogView } from "./logview.js";
import { Plots } from "./plots.js";
import { Rows } from "./rows.js";
import { Worries } from "./worries.js";

const PAGE = 300;
const NEWS = 100;
const TICK_MS = 1_000;
const FIND_MS = 200;
const FILTERS = [
  ["live", "Live", () => true],
  ["busy", "Busy", (actor) => actor.activity !== "idle"],
  ["waiting", "Waiting for a person", (actor) => actor.activity === "waiting"],
  ["stuck", "Stuck", (actor, now) => worryOf(actor, now) !== null],
  ["restarted", "Restarted", (actor) => actor.restarts > 0],
  ["stored", "Stored", null],
];

const RANKS = { bad: 0, warn: 1 };

const part = (id) => document.getElementById(id);

class Dashboard {
  constructor(me) {
    this.actors = new Actors();
    this.plots = new Plots(part("plots"));
    this.services = new Rows(part("services"), {
      label: "Services",
      open: (name) => this.open(name),
      actions: () => [["retry", "Restart", (name) => acts.restart(name, false)]],
    });
    this.sessions = new Rows(part("sessions"), {
      label: "Sessions",
      open: (name) => this.open(name),
      actions: () => [
        ["stop", "End the turn of", (name) => acts.endTurn(name), "when-busy"],
        ["retry", "Restart", (name) => acts.restart(name, true)],
      ],
    });
    this.worries = new Worries({ list: part("worries"), calm: part("calm") }, (name) => this.open(name));
    this.worries.onchange = () => this.draw();
    this.logs = new LogView({ form: part("log-query"), list: part("log"), status: part("log-status") });
    this.detail = new Detail(part("detail"), {
      prefix: me.prefix,
      logs: (query) => {
        part("log-section").scrollIntoView();
        this.logs.search(query);
      },
      closed: () => this.draw(),
    });
    this.filter = "live";
    this.shown = PAGE;
    this.stored = null;
    this.live = new Live({
      onevent: (name, data) => this.received(name, data),
      onstate: (state, text) => this.connection(state, text),
      ondenied: () => location.reload(),
    });
    this.furnish();
  }

  start() {
    this.live.start();
    this.worries.start();
    this.logs.refresh();
    setInterval(() => this.draw(), TICK_MS);
  }

  furnish() {
    part("tools").append(
      el("a", { class: "button", href: "/" }, "Chat"),
      iconButton("theme", "Dark or light", toggleTheme),
    );
    if (token.get()) {
      part("tools").append(
        iconButton("key", "Forget the token", () => {
          token.set("");
          location.reload();
        }),
      );
    }
    for (const [key, label] of FILTERS) {
      part("filters").append(
        el("button", {
          type: "button",
          class: "chip",
          "aria-pressed": String(key === this.filter),
          "data-filter": key,
          onclick: () => this.choose(key),
        }, label, el("span", { class: "chip-count" })),
      );
    }
    let timer = null;
    part("find").addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.choose(this.filter), FIND_MS);
    });
    part("more").addEventListener("click", () => {
      this.shown += PAGE;
      this.choose(this.filter, { shown: this.shown });
    });
    document.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    const writes = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (event.key === "/" && !writes && !document.querySelector("dialog[open]")) {
      event.preventDefault();
      part("find").focus();
    } else if (event.altKey && event.key.toLowerCase() === "t") {
      toggleTheme();
    }
  }

  // What the gateway says

  received(name, data) {
    if (name === "snapshot") this.plots.clear();
    const news = this.actors.take(name, data);
    if (name === "numbers") this.plots.take(data, this.actors.totalMemory(), this.actors.all.size);
    if (name === "snapshot" || name === "actors") this.worries.lookSoon();
    for (const each of news) this.tell(each);
    if (name === "actors") for (const { actor } of data.changed) this.detail.changed(actor.name);
    this.drawSoon();
  }

  tell({ at, name, text, bad }) {
    const list = part("news");
    part("no-news").hidden = true;
    list.prepend(
      el(
        "li",
        { "data-level": bad ? "bad" : "" },
        el("time", { class: "quiet", title: fullTimeText(at) }, timeOfDay(at)),
        el("span", { class: "who" }, name),
        el("span", {}, text),
      ),
    );
    while (list.children.length > NEWS) list.lastChild.remove();
    if (bad) announce(`${name} ${text}`);
  }

  connection(state, text) {
    const line = part("connection");
    line.dataset.state = state;
    line.textContent = state === "live" ? "Live" : state === "refused" ? "Refused" : "Reconnecting…";
    const banner = part("banner");
    banner.hidden = state === "live";
    banner.textContent =
      state === "refused"
        ? `The gateway does not let this page follow: ${text}`
        : `What you see is as it was a moment ago. ${text || "The gateway cannot be reached; this page tries again."}`;
    document.body.classList.toggle("stale", state !== "live");
    if (state === "live") this.logs.refresh();
  }

  // What is shown

  drawSoon() {
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    if (this.frame) cancelAnimationFrame(this.frame);
    this.frame = null;
    const now = Date.now() / 1000;
    const { actors } = this;
    this.drawHealth();
    this.services.show(actors.services(), actors.memory, now, this.detail.name);
    this.drawSessions(now);
    const needs = this.worries.show([...actors.all.values()], now);
    document.title = `${needs ? `(${needs}) ` : ""}Dashboard · openclaw-actors`;
    this.plots.draw();
    const { name } = this.detail;
    if (name !== null) this.detail.show(actors.all.get(name), actors.memory.get(name), now);
  }

  drawHealth() {
    const { health } = this.actors;
    const pill = part("health");
    if (!health) return;
    const state = health.draining ? "draining" : health.ready ? (health.problems.length ? "degraded" : "healthy") : "not ready";
    const text = health.problems.length ? `${state}: ${health.problems.join("; ")}` : state;
    if (pill.textContent !== text) {
      pill.textContent = text;
      pill.title = health.problems.join("\n");
      pill.dataset.state = state;
    }
  }

  drawSessions(now) {
    const all = this.actors.sessions();
    for (const [key, , matches] of FILTERS) {
      if (!matches) continue;
      const count = all.filter((actor) => matches(actor, now)).length;
      const chip = part("filters").querySelector(`[data-filter="${key}"] .chip-count`);
      if (chip.textContent !== String(count)) chip.textContent = String(count);
    }
    const actors = this.filter === "stored" ? (this.stored?.actors ?? []) : this.chosen(all, now);
    const total = this.filter === "stored" ? (this.stored?.total ?? 0) : actors.length;
    const shown = actors.slice(0, this.shown);
    this.sessions.show(shown, this.actors.memory, now, this.detail.name);
    part("more").hidden = shown.length >= total;
    part("count").textContent = total > shown.length ? `${shown.length} of ${total}` : String(total);
    part("none").hidden = total > 0;
    part("none").textContent = part("find").value ? "None is called so." : NONE[this.filter];
  }

  /** The order stays calm: what is wrong comes first, all else by name. */
  chosen(all, now) {
    const text = part("find").value.trim().toLowerCase();
    const matches = FILTERS.find(([key]) => key === this.filter)[2];
    return all
      .filter((actor) => matches(actor, now) && actor.name.toLowerCase().includes(text))
      .map((actor) => [RANKS[worryOf(actor, now)?.level] ?? 2, actor])
      .sort(([one, a], [other, b]) => one - other || (a.name < b.name ? -1 : 1))
      .map(([, actor]) => actor);
  }

  async choose(key, { shown = PAGE } = {}) {
    this.filter = key;
    this.shown = shown;
    for (const chip of part("filters").children) chip.setAttribute("aria-pressed", String(chip.dataset.filter === key));
    if (key === "stored") await this.lookForStored();
    this.draw();
  }

  async lookForStored() {
    const query = { state: "stored", limit: Math.min(1000, this.shown) };
    const text = part("find").value.trim();
    if (text) query.contains = text;
    try {
      const found = await api("GET", "/sessions", { query });
      this.stored = { total: Math.min(found.total, 1000), actors: found.sessions.map(asActor) };
    } catch (problem) {
      part("none").textContent = problem.text;
      this.stored = { total: 0, actors: [] };
    }
  }

  open(name) {
    this.detail.open(name, this.actors.all.get(name));
    this.draw();
  }
}

const NONE = {
  live: "No conversation has a process now.",
  busy: "None is busy.",
  waiting: "None waits for a person.",
  stuck: `None is stuck: all answer, and no turn has taken longer than ${LONG_TURN_S} s.`,
  restarted: "None was restarted.",
  stored: "No conversation is stored without a process.",
};

/** A stored conversation, as a row. */
function asActor(session) {
  return {
    name: session.session,
    kind: "session",
    state: session.state,
    pid: null,
    incarnation: 0,
    restarts: 0,
    mailbox_depth: 0,
    since: session.last_active_at,
    activity: "idle",
    doing: `${session.turns} turns, last ${timeText(session.last_active_at)}`,
    doing_since: null,
    silent_since: null,
    reason: "",
  };
}

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

function timeOfDay(seconds) {
  return CLOCK.format(new Date(seconds * 1000));
}

async function begin() {
  const config = await gatewayConfig();
  const me = await signIn(config);
  if (!me.owner) {
    part("connection").textContent = "";
    part("health").hidden = true;
    const banner = part("banner");
    banner.hidden = false;
    banner.textContent = `The dashboard is for the owner of the gateway; this token is ${me.principal}'s.`;
    banner.append(
      el("button", {
        type: "button",
        class: "link",
        onclick() {
          token.set("");
          location.reload();
        },
      }, "Use another token"),
    );
    return;
  }
  new Dashboard(me).start();
}

begin().catch((problem) => {
  const banner = part("banner");
  banner.hidden = false;
  banner.textContent = problem.text ?? String(problem);
});
