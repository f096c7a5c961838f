// Owns the conversations that a page follows: their histories, and what goes between them and the web socket.

import { ApiError, api, uniqueId } from "./common.js";
import { Conversation } from "./conversation.js";

const NEWEST = 120;
const EARLIER = 300;
const PAGE = 300;
const MOST_ROOMS = 12;
const RETRY_MS = 2_000;
const OUTBOX = "openclaw.untaken";

export class Rooms {
  /**
   * @param {string} prefix how the caller's session keys begin
   * @param {import("./link.js").Link} link
   * @param {{onactivity: function(string), ontrouble: function(string)}} host
   */
  constructor(prefix, link, host) {
    this.prefix = prefix;
    this.link = link;
    this.host = host;
    this._rooms = new Map();
  }

  key(session) {
    return this.prefix + session;
  }

  find(session) {
    return this._rooms.get(session)?.conversation;
  }

  /** The conversation of a session; the first time, its newest part is loaded and it is followed. */
  open(session) {
    let room = this._rooms.get(session);
    if (room === undefined) {
      room = { conversation: new Conversation(session, uniqueId), known: false, follows: false, loading: false };
      this._forgetOldest();
      this._restore(room.conversation);
      this._load(room);
    } else this._rooms.delete(session);
    this._rooms.set(session, room); // the one used last is last
    return room.conversation;
  }

  /** A session was deleted. */
  forget(session) {
    this._rooms.delete(session);
    this._keep();
  }

  // What the person does

  say(session, text) {
    const exchange = this.open(session).say(text);
    this._keep();
    this._transmit(session, exchange);
    return exchange;
  }

  again(session, exchange) {
    this.open(session).again(exchange);
    this._keep();
    this._transmit(session, exchange);
  }

  discard(session, exchange) {
    this.open(session).discard(exchange);
    this._keep();
  }

  stop(session, { queue }) {
    return this.link.send({ type: "stop", sessionId: session, queue });
  }

  decide(session, tool, approved) {
    const frame = { type: "tool_approval_decision", sessionId: session, approvalId: tool.approvalId, approved };
    if (!this.link.send(frame)) return;
    const conversation = this.find(session);
    tool.deciding = approved ? "approve" : "deny";
    for (const entry of conversation.entries) if (entry.tools?.includes(tool)) conversation.changed.add(entry);
    conversation.onchange();
  }

  _transmit(session, exchange) {
    const room = this._rooms.get(session);
    // Before the session is followed its answers might be missed; what is unsent goes out with that.
    if (room.follows) this.link.send(room.conversation.frameOf(exchange));
  }

  // The connection

  connected() {
    for (const room of this._rooms.values()) {
      room.follows = false;
      if (room.known) this._follow(room);
      else this._load(room);
    }
  }

  disconnected({ code }) {
    for (const room of this._rooms.values()) {
      room.follows = false;
      if (code === 1009) room.conversation.abandon("too_big", "The message is larger than the gateway takes.");
    }
    if (code === 1009) this._keep();
  }

  received(event) {
    const room = this._rooms.get(event.sessionId);
    if (room === undefined) {
      if (event.sessionId === undefined && event.type === "error") this.host.ontrouble(event.text);
      return;
    }
    room.conversation.received(event);
    if (event.type === "message_accepted" || event.type === "error") this._keep();
    if (event.type !== "assistant_chunk") this.host.onactivity(event.sessionId, event.type);
  }

  _follow(room) {
    if (!this.link.open || room.follows) return;
    room.follows = true;
    for (const frame of room.conversation.connected()) this.link.send(frame);
  }

  // Histories

  async _load(room) {
    if (room.known || room.loading) return;
    room.loading = true;
    const { conversation } = room;
    try {
      const path = `/sessions/${encodeURIComponent(this.key(conversation.session))}`;
      const { events } = await api("GET", path, { query: { last: NEWEST } });
      conversation.prepend(events, events.length > 0 && events[0].seq > 1);
      room.known = true;
    } catch (problem) {
      if (!(problem instanceof ApiError)) throw problem;
      if (problem.status === 404) {
        conversation.prepend([], false);
        room.known = true;
      } else if (problem.status === 0 || problem.status === 429 || problem.status >= 500) {
        this.host.ontrouble(problem.text);
        setTimeout(() => this._rooms.get(conversation.session) === room && this._load(room), RETRY_MS);
      } else if (problem.status !== 401) {
        // Asking again would not help. What is said from now on is shown all the same.
        conversation.prepend([], false);
        conversation.received({ type: "error", code: problem.code, text: problem.text });
        room.known = true;
      }
    } finally {
      room.loading = false;
    }
    if (room.known) {
      this.host.onactivity(conversation.session, "loaded");
      this._follow(room);
    }
  }

  /** Load what comes before all that is shown. Returns the events and whether there are still earlier ones. */
  async earlier(session) {
    const conversation = this.find(session);
    const first = conversation.events[0].seq;
    const path = `/sessions/${encodeURIComponent(this.key(session))}/events`;
    const from = Math.max(0, first - 1 - EARLIER);
    const found = [];
    for (let after = from; ; ) {
      const { events } = await api("GET", path, { query: { after, limit: PAGE } });
      found.push(...events.filter((event) => event.seq < first));
      // A page is shorter where its events are long: what lies between must not be left out.
      if (events.length === 0 || events.at(-1).seq >= first - 1) break;
      after = events.at(-1).seq;
    }
    return { events: found, earlier: from > 0 && found.length > 0 };
  }

  _forgetOldest() {
    for (const [session, room] of this._rooms) {
      if (this._rooms.size < MOST_ROOMS) return;
      if (room.conversation.untaken.length === 0) this._rooms.delete(session);
    }
  }

  // What the gateway does not have yet survives a reload of the page

  _keep() {
    const kept = [];
    for (const [session, { conversation }] of this._rooms) {
      for (const { id, text } of conversation.untaken) kept.push({ session, id, text });
    }
    try {
      if (kept.length) sessionStorage.setItem(OUTBOX, JSON.stringify(kept));
      else sessionStorage.removeItem(OUTBOX);
    } catch {
      // Storage is full or switched off: it lives as long as the page.
    }
  }

  /** Sessions with messages that a reload found unsent. */
  static unsent() {
    try {
      return JSON.parse(sessionStorage.getItem(OUTBOX) ?? "[]");
    } catch {
      return [];
    }
  }

  _restore(conversation) {
    for (const { session, id, text } of Rooms.unsent()) {
      if (session !== conversation.session) continue;
      const ids = [id];
      const { newId } = conversation;
      conversation.newId = () => ids.shift() ?? newId();
      conversation.say(text);
      conversation.newId = newId;
    }
  }
}
