// Shows actors as rows of a table; a row is made once, and only what has changed in it is written again.

import { el, icon } from "./common.js";
import { bytesText, doingText, worryOf } from "./actors.js";
import { durationText } from "./common.js";

const COLUMNS = [
  ["name", "Name"],
  ["state", "State"],
  ["doing", "Doing"],
  ["waiting", "Waiting"],
  ["memory", "Memory"],
  ["restarts", "Restarts"],
  ["incarnation", "Incarnation"],
  ["pid", "Pid"],
  ["age", "Age"],
];

/** A table of actors, walked with the arrow keys. */
export class Rows {
  /**
   * @param {HTMLElement} place
   * @param {{label: string, empty?: string, open: function(string), actions: function(Object): Array}} options
   *     `actions`: `[drawing, label, function, class]` for an actor, at its row's end
   */
  constructor(place, { label, open, actions }) {
    this.open = open;
    this.actions = actions;
    this.rows = new Map();
    this.current = null;
    this.body = el("div", { role: "rowgroup", class: "body" });
    this.table = el(
      "div",
      { role: "table", class: "rows", "aria-label": label },
      el(
        "div",
        { role: "rowgroup", class: "head" },
        el(
          "div",
          { role: "row", class: "actor" },
          ...COLUMNS.map(([key, title]) => el("span", { role: "columnheader", class: key }, title)),
          el("span", { role: "columnheader", class: "actions" }, el("span", { class: "sr" }, "Actions")),
        ),
      ),
      this.body,
    );
    this.table.addEventListener("keydown", (event) => this.walk(event));
    place.append(this.table);
  }

  /** Show these actors, in this order. */
  show(actors, memory, now, chosen) {
    const names = new Set(actors.map((actor) => actor.name));
    for (const [name, row] of this.rows) {
      if (names.has(name)) continue;
      row.node.remove();
      this.rows.delete(name);
    }
    let before = null;
    for (const actor of actors) {
      let row = this.rows.get(actor.name);
      if (!row) {
        row = new Row(actor, this);
        this.rows.set(actor.name, row);
      }
      row.show(actor, memory.get(actor.name), now, chosen === actor.name);
      const place = before ? before.nextSibling : this.body.firstChild;
      if (row.node !== place) this.body.insertBefore(row.node, place);
      before = row.node;
    }
    this.table.hidden = actors.length === 0;
    if (!this.rows.has(this.current)) this.setCurrent(actors[0]?.name ?? null);
  }

  /** One row's buttons are reached with Tab, all others with the arrow keys. */
  setCurrent(name) {
    this.rows.get(this.current)?.reachable(false);
    this.current = name;
    this.rows.get(name)?.reachable(true);
  }

  walk(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };
    const step = steps[event.key];
    if (step === undefined || !this.current) return;
    const nodes = [...this.body.children];
    const at = nodes.indexOf(this.rows.get(this.current)?.node);
    const next = nodes[Math.max(0, Math.min(nodes.length - 1, at + step))];
    event.preventDefault();
    this.setCurrent(next.dataset.name);
    next.querySelector("button").focus();
    next.scrollIntoView({ block: "nearest" });
  }
}

class Row {
  constructor(actor, rows) {
    this.written = {};
    this.cells = {};
    const cells = COLUMNS.map(([key, title]) => {
      const role = key === "name" ? "rowheader" : "cell";
      const cell = el("span", { role, class: key, "data-title": title });
      this.cells[key] = cell;
      return cell;
    });
    this.name = el("button", { type: "button", class: "link name-button", onclick: () => rows.open(actor.name) }, actor.name);
    this.name.title = actor.name;
    this.cells.name.append(this.name);
    this.buttons = rows.actions(actor).map(([drawing, label, act, when]) =>
      el(
        "button",
        {
          type: "button",
          class: `icon-button ${when ?? ""}`,
          "aria-label": `${label} ${actor.name}`,
          title: label,
          onclick: () => act(actor.name),
        },
        icon(drawing),
      ),
    );
    this.node = el(
      "div",
      { role: "row", class: "actor", "data-name": actor.name },
      ...cells,
      el("span", { role: "cell", class: "actions" }, ...this.buttons),
    );
    this.node.addEventListener("focusin", () => rows.setCurrent(actor.name));
    this.reachable(false);
  }

  reachable(yes) {
    for (const button of [this.name, ...this.buttons]) button.tabIndex = yes ? 0 : -1;
  }

  show(actor, memory, now, chosen) {
    const worry = worryOf(actor, now);
    this.write("state", actor.state);
    this.write("doing", doingText(actor, now));
    this.write("waiting", actor.mailbox_depth ? String(actor.mailbox_depth) : "–");
    this.write("memory", bytesText(memory));
    this.write("restarts", actor.restarts ? String(actor.restarts) : "–");
    this.write("incarnation", actor.incarnation ? shortNumber(actor.incarnation) : "–");
    this.write("pid", actor.pid === null ? "–" : String(actor.pid));
    this.write("age", durationText(Math.max(0, now - actor.since)));
    this.mark("level", worry?.level ?? "");
    this.mark("kind", actor.kind);
    this.mark("pid", actor.pid === null && actor.state === "stored" ? "none" : "");
    this.mark("activity", actor.activity);
    this.mark("state", actor.state);
    this.mark("chosen", chosen ? "yes" : "");
    const incarnation = String(actor.incarnation);
    if (this.cells.incarnation.title !== incarnation) this.cells.incarnation.title = incarnation;
  }

  write(key, text) {
    if (this.written[key] === text) return;
    this.written[key] = text;
    this.cells[key].textContent = text;
  }

  mark(key, value) {
    if (this.node.dataset[key] !== value) this.node.dataset[key] = value;
  }
}

/** An incarnation's number tells the boot and the count in it: 3000012 is the 12th of boot 3. */
function shortNumber(incarnation) {
  if (incarnation < 1_000_000) return String(incarnation);
  return `${Math.floor(incarnation / 1_000_000)}.${incarnation % 1_000_000}`;
}
