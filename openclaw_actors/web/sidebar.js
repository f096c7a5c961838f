// Shows the caller's sessions: search, choose, begin, delete and take back.

import { api, el, fullTimeText, iconButton, timeText, toast } from "./common.js";

const MOST = 100;
const MOST_TITLES = 40; // at a time: each is a question to the gateway
const SEARCH_AFTER_MS = 150;
const NAMED_BY_US = /^chat \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d [0-9a-f]{4}$/;
const TITLE_CHARS = 60;

/** A name for a new session: nothing of what people write gets into names, which stand in logs. */
export function newName(now = new Date()) {
  const two = (number) => String(number).padStart(2, "0");
  const day = [now.getFullYear(), two(now.getMonth() + 1), two(now.getDate())].join("-");
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join(".");
  const tail = Array.from(crypto.getRandomValues(new Uint8Array(2)), (byte) => byte.toString(16).padStart(2, "0"));
  return `chat ${day} ${time} ${tail.join("")}`;
}

export class Sidebar {
  /**
   * @param {string} prefix how the caller's session keys begin
   * @param {{list: HTMLElement, search: HTMLInputElement, status: HTMLElement}} parts
   * @param {{choose: function(string), deleted: function(string), stateOf: function(string): string,
   *          ontitle: function(string)}} host
   */
  constructor(prefix, parts, host) {
    this.prefix = prefix;
    this.parts = parts;
    this.host = host;
    this.current = null;
    this.sessions = [];
    this._all = []; // the newest, whatever is looked for
    this._drafts = new Set(); // begun here, and not known to the gateway before their first message
    this._titles = new Map();
    this._timer = null;
    this._asked = 0;
    parts.search.addEventListener("input", () => this._later(SEARCH_AFTER_MS));
    parts.list.addEventListener("keydown", (event) => this._key(event));
    addEventListener("focus", () => this._later(0));
  }

  /** What people read for a session. */
  title(session) {
    if (this._titles.get(session)) return this._titles.get(session);
    return NAMED_BY_US.test(session) ? "New conversation" : session;
  }

  /** The session that is shown. */
  choose(session) {
    this.current = session;
    if (!this.sessions.some((each) => each.id === session)) this._drafts.add(session);
    this._show();
    this._findTitle(session);
  }

  /** Something happened in a session. */
  touched(session, { first = null, said = false } = {}) {
    if (first && NAMED_BY_US.test(session) && !this._titles.get(session)) {
      this._titles.set(session, shortened(first));
      this.host.ontitle(session);
    }
    if (said) this._toTop(session);
    this._show();
  }

  _toTop(session) {
    const known = this.sessions.find((each) => each.id === session);
    if (!known && this.parts.search.value.trim()) return;
    const row = { ...known, id: session, last_active_at: Date.now() / 1000 };
    this._drafts.delete(session);
    this.sessions = [row, ...this.sessions.filter((each) => each !== known)];
  }

  _later(ms) {
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this.refresh(), ms);
  }

  async refresh() {
    const number = ++this._asked;
    const contains = this.parts.search.value.trim();
    const query = { mine: true, limit: MOST, ...(contains && { contains }) };
    let found;
    try {
      found = await api("GET", "/sessions", { query });
    } catch (problem) {
      if (number === this._asked) this.parts.status.textContent = problem.text;
      return;
    }
    if (number !== this._asked) return; // somebody has typed on
    this.sessions = found.sessions.map((each) => ({ ...each, id: each.session.slice(this.prefix.length) }));
    if (contains) this._onlyWith(contains);
    else this._all = this.sessions;
    for (const { id } of this.sessions) this._drafts.delete(id);
    this.parts.status.textContent = this._count(found, contains);
    this._show();
    this._findTitles(this.sessions.slice(0, MOST_TITLES));
  }

  /** The gateway looks at whole keys, and knows no titles. */
  _onlyWith(contains) {
    const found = new Set(this.sessions.map((each) => each.id));
    this.sessions.push(...this._all.filter((each) => !found.has(each.id)));
    this.sessions = this.sessions.filter(
      (each) => (found.has(each.id) && matches(each.id, contains)) || matches(this.title(each.id), contains),
    );
  }

  _count(found, contains) {
    if (found.total > found.sessions.length) return `The newest ${found.sessions.length} of ${found.total}.`;
    if (this.sessions.length === 0 && contains) return "No session is called so.";
    return "";
  }

  _show() {
    const contains = this.parts.search.value.trim();
    const drafts = [...this._drafts].filter((id) => id === this.current && (!contains || matches(id, contains)));
    const rows = [...drafts.map((id) => ({ id, draft: true })), ...this.sessions];
    const focused = this.parts.list.contains(document.activeElement)
      ? document.activeElement.closest("li")?.dataset.session
      : undefined;
    this.parts.list.replaceChildren(...rows.map((row) => this._row(row)));
    if (focused === undefined) return;
    const row = [...this.parts.list.children].find((each) => each.dataset.session === focused);
    row?.querySelector("button").focus();
  }

  _row({ id, draft, last_active_at: active, state }) {
    const title = this.title(id);
    const doing = state === "quarantined" ? "damaged" : this.host.stateOf(id);
    const open = el(
      "button",
      {
        type: "button",
        class: "session",
        title: active ? `${id}\nLast active ${fullTimeText(active)}` : id,
        "aria-current": id === this.current ? "true" : null,
        onclick: () => this.host.choose(id),
      },
      el("span", { class: "session-title" }, title),
      doing ? el("span", { class: `session-doing ${doing}` }, doing) : null,
      active ? el("span", { class: "session-time" }, timeText(active)) : null,
    );
    const row = el("li", { "data-session": id }, open);
    if (!draft) row.append(iconButton("trash", `Delete ${title}`, () => this.remove(id), { class: "session-delete" }));
    return row;
  }

  _key(event) {
    const row = event.target.closest("li");
    if (row === null) return;
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (step) {
      row[step]?.querySelector("button").focus();
      event.preventDefault();
    } else if (event.key === "Delete") {
      const next = row.nextElementSibling ?? row.previousElementSibling;
      this.remove(row.dataset.session);
      next?.querySelector("button").focus();
    }
  }

  /** The session before or after the one that is shown. */
  neighbour(step) {
    const ids = [...this.parts.list.children].map((row) => row.dataset.session);
    const at = ids.indexOf(this.current);
    return ids[Math.min(ids.length - 1, Math.max(0, at + step))];
  }

  /** Delete a session; it can be taken back. */
  async remove(id) {
    const title = this.title(id);
    const path = `/sessions/${encodeURIComponent(this.prefix + id)}`;
    try {
      const { archive } = await api("DELETE", path);
      this.sessions = this.sessions.filter((each) => each.id !== id);
      this._titles.delete(id);
      this.host.deleted(id);
      this._show();
      toast(`“${title}” is deleted.`, { label: "Undo", action: () => this._takeBack(id, path, archive) });
    } catch (problem) {
      toast(`“${title}” is not deleted: ${problem.text}`);
    }
  }

  async _takeBack(id, path, archive) {
    try {
      await api("POST", `${path}/restore`, { body: { archive } });
      this.host.restored(id);
      await this.refresh();
    } catch (problem) {
      toast(`It was not taken back: ${problem.text}`);
    }
  }

  async _findTitles(sessions) {
    for (const { id } of sessions) await this._findTitle(id);
  }

  /** Sessions that we have named are known by what was said first in them. */
  async _findTitle(id) {
    if (!NAMED_BY_US.test(id) || this._titles.has(id) || this._drafts.has(id)) return;
    this._titles.set(id, "");
    try {
      const path = `/sessions/${encodeURIComponent(this.prefix + id)}/events`;
      const { events } = await api("GET", path, { query: { limit: 1 } });
      const first = events.find((event) => event.type === "message_accepted");
      if (!first) return;
      this._titles.set(id, shortened(first.text));
      this._show();
      this.host.ontitle(id);
    } catch {
      this._titles.delete(id); // it is asked for again when the list is loaded next
    }
  }
}

function matches(id, contains) {
  return id.toLowerCase().includes(contains.toLowerCase());
}

function shortened(text) {
  const line = text.trim().split("\n", 1)[0];
  const points = [...line];
  return points.length <= TITLE_CHARS ? line : `${points.slice(0, TITLE_CHARS - 1).join("")}…`;
}
