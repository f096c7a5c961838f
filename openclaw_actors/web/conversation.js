// Decides what a page knows of one session, from what the gateway says over any number of connections.
// Pure: no socket, no page. Each durable event counts once, each piece of an answer is shown once, and a message of
// ours stays `sending` under its id until the gateway has said that it has it.

/** Codes of refusals after which the same message may be sent again. */
export const TRY_AGAIN = new Set(["busy", "rate_limited", "not_accepted", "draining", "persistence_failed"]);

const MAX_NOTICES = 50;
const MAX_EVENTS = 6_000; // beyond it the older half is let go; it can be loaded again

/**
 * One message and its answer.
 *
 * `state`: `sending`, `refused` (not taken), `waiting` (stored), `answering`, or the end of its turn: `completed`,
 * `stopped`, `failed`, `interrupted`.
 */
class Exchange {
  constructor(id) {
    this.kind = "exchange";
    this.id = id;
    this.text = "";
    this.known = false; // whether its text is known
    this.mine = false;
    this.state = "waiting";
    this.seq = null; // of its receipt
    this.refusedAt = null; // where it stands without one: after what was known when it was refused
    this.busy = null;
    this.repeated = false; // a repetition was answered: its events may come out of order
    this.refusal = null;
    this.turn = null;
    this.attempt = 0;
    this.restarts = 0;
    this.answer = "";
    this.length = 0; // of the answer, in code points
    this.tools = [];
    this.code = null;
    this.usage = null;
  }

  get ended() {
    return ["completed", "stopped", "failed", "interrupted"].includes(this.state);
  }

  get order() {
    return this.seq ?? this.refusedAt ?? Infinity;
  }
}

export class Conversation {
  /**
   * @param {string} session its id
   * @param {function(): string} newId makes message ids
   */
  constructor(session, newId) {
    this.session = session;
    this.newId = newId;
    this.entries = []; // exchanges and notices, in the order in which they are read
    this.lastSeq = null; // highest number seen; null: nothing is known of the session yet
    this.events = []; // durable events, by number, to build it all anew when earlier ones come
    this.earlier = false; // whether there are earlier events than these
    this.changed = new Set(); // entries to show anew
    this.reordered = true;
    this.onchange = () => {};
    this._byId = new Map();
    this._byTurn = new Map();
    this._open = new Set(); // exchanges whose turn has not ended
    this._placed = new WeakSet(); // what stands in `entries`
  }

  // What the person does

  /** A new message; returns its exchange. */
  say(text) {
    const exchange = this._exchange(this.newId());
    Object.assign(exchange, { text, known: true, mine: true, state: "sending" });
    this._place(exchange);
    this._touch(exchange);
    return exchange;
  }

  /** Send a message again that was not taken; under another id if its own one is spent. */
  again(exchange) {
    if (exchange.refusal?.code === "message_id_conflict") {
      this._byId.delete(exchange.id);
      exchange.id = this.newId();
      this._byId.set(exchange.id, exchange);
    }
    exchange.state = "sending";
    exchange.refusal = exchange.refusedAt = null;
    this._place(exchange);
    this._touch(exchange);
  }

  /** Forget a message that was not taken. */
  discard(exchange) {
    this._byId.delete(exchange.id);
    this._open.delete(exchange);
    this.entries = this.entries.filter((entry) => entry !== exchange);
    this.reordered = true;
    this.onchange();
  }

  /** What the gateway is not known to have. */
  get untaken() {
    return [...this._open].filter((exchange) => exchange.state === "sending");
  }

  /** The exchange that is being answered, if one is. */
  get running() {
    return [...this._open].find((exchange) => exchange.state === "answering") ?? null;
  }

  /** What is stored and waits for its turn. */
  get waiting() {
    return [...this._open].filter((exchange) => exchange.state === "waiting");
  }

  /** How many messages are answered before this one. */
  ahead(exchange) {
    const before = [...this._open].filter((each) => each.order < exchange.order);
    return before.filter((each) => each.state === "waiting" || each.state === "answering").length;
  }

  /** The frame that sends a message. */
  frameOf(exchange) {
    return { type: "user_message", sessionId: this.session, text: exchange.text, messageId: exchange.id };
  }

  // What the connection does

  /** Frames for a new connection: follow the session, then send what the gateway may not have. */
  connected() {
    for (const entry of this.entries) {
      for (const tool of entry.tools ?? []) {
        if (tool.deciding) {
          tool.deciding = null;
          this._touch(entry);
        }
      }
    }
    const frames = [{ type: "resume", sessionId: this.session, lastSeq: this.lastSeq ?? 0 }];
    return frames.concat(this.untaken.map((exchange) => this.frameOf(exchange)));
  }

  /** Give up what the gateway will not take however often it is sent. */
  abandon(code, text) {
    for (const exchange of this.untaken) this._refuse(exchange, { code, text });
  }

  _refuse(exchange, refusal) {
    Object.assign(exchange, { state: "refused", refusal, refusedAt: (this.lastSeq ?? 0) + 0.5 });
    this._place(exchange);
    this._touch(exchange);
  }

  // What is known from before

  /**
   * Take over stored events that come before all that is known.
   * @param {Object[]} events durable ones, in order
   * @param {boolean} earlier whether there are still earlier ones
   */
  prepend(events, earlier) {
    const first = this.events[0]?.seq ?? Infinity;
    const all = events.filter((event) => event.seq < first).concat(this.events);
    const running = this.running;
    const kept = this.entries.filter((entry) => entry.kind === "notice" || entry.seq === null);
    const mine = new Set(this.entries.filter((entry) => entry.mine).map((entry) => entry.id));
    this.entries = [];
    this._placed = new WeakSet();
    this._byId = new Map(kept.filter((entry) => entry.id).map((entry) => [entry.id, entry]));
    this._byTurn = new Map();
    this._open = new Set(kept.filter((entry) => entry.kind === "exchange"));
    this.events = [];
    const last = this.lastSeq;
    this.lastSeq = null;
    for (const event of all) this._durable(event);
    for (const entry of kept) if (!this._placed.has(entry)) this._place(entry);
    for (const id of mine) if (this._byId.has(id)) this._byId.get(id).mine = true;
    const now = running && this._byId.get(running.id);
    if (now && now.state === "answering" && now.attempt === running.attempt) {
      Object.assign(now, { answer: running.answer, length: running.length, restarts: running.restarts });
    }
    this.lastSeq = Math.max(last ?? 0, this.lastSeq ?? 0);
    this.earlier = earlier;
    this.reordered = true;
    this.onchange();
  }

  // What the gateway says

  /** An event of this session came. */
  received(event) {
    switch (event.type) {
      case "assistant_chunk":
        return this._chunk(event);
      case "notice":
        return this._notice("notice", event.code, event.text);
      case "error":
        return this._error(event);
      default:
        if (Number.isInteger(event.seq)) this._durable(event);
        if (this.events.length > MAX_EVENTS) this._forgetHalf();
    }
  }

  _forgetHalf() {
    this.events = this.events.slice(-MAX_EVENTS / 2);
    this.prepend([], true);
  }

  _durable(event) {
    if (event.type === "message_accepted") return this._accepted(event);
    if (event.type === "turn_done") return this._done(event);
    if (!this._isNew(event)) return;
    this._record(event);
    const exchange = this._ofTurn(event);
    if (exchange === null) return;
    if (event.type === "turn_started") {
      this._attempt(exchange, event.attempt);
    } else if (event.type === "tool_approval_required") {
      this._tool(exchange, event, { status: "asks", approvalId: event.approvalId });
    } else if (event.type === "tool_start") {
      this._tool(exchange, event, { status: "running" });
    } else if (event.type === "tool_result") {
      this._tool(exchange, event, { status: event.status, text: event.text });
    }
    this._touch(exchange);
  }

  _isNew(event) {
    return this.lastSeq === null || event.seq > this.lastSeq;
  }

  _record(event) {
    this.lastSeq = Math.max(this.lastSeq ?? 0, event.seq);
    const last = this.events.at(-1);
    if (last === undefined || last.seq < event.seq) {
      this.events.push(event);
      return;
    }
    // The answer to a repetition came before what was missed is replayed.
    const at = this.events.findIndex((each) => each.seq >= event.seq);
    if (this.events[at].seq !== event.seq) this.events.splice(at, 0, event);
  }

  _accepted(event) {
    const exchange = this._exchange(event.messageId);
    if (event.duplicate) exchange.repeated = true; // its number is an old one, and says nothing of what else was seen
    else if (this._isNew(event)) this._record(event);
    if (exchange.seq !== null) return;
    exchange.seq = event.seq;
    exchange.text = event.text;
    exchange.known = true;
    exchange.busy = event.busy ?? null;
    exchange.refusal = null;
    if (!exchange.turn) exchange.state = "waiting";
    this._place(exchange);
    this._touch(exchange);
  }

  _done(event) {
    const exchange = this._exchange(event.messageId);
    const known = !this._isNew(event);
    if (!exchange.repeated || event.seq === (this.lastSeq ?? 0) + 1) this._record(event);
    if (exchange.ended || (known && !exchange.mine)) return;
    if (exchange.seq === null) this._place(exchange, event.seq);
    this._byTurn.set(event.turnId, exchange);
    exchange.turn = event.turnId;
    exchange.state = event.status;
    this._open.delete(exchange);
    exchange.answer = event.text ?? "";
    exchange.length = [...exchange.answer].length;
    exchange.code = event.code ?? null;
    exchange.usage = event.usage ?? null;
    for (const tool of exchange.tools) if (tool.status === "asks" || tool.status === "running") tool.status = "over";
    this._touch(exchange);
    for (const waiting of this.waiting) this._touch(waiting);
  }

  _ofTurn(event) {
    let exchange = this._byTurn.get(event.turnId);
    if (exchange === undefined && event.messageId !== undefined) {
      exchange = this._exchange(event.messageId);
      this._byTurn.set(event.turnId, exchange);
      exchange.turn = event.turnId;
      if (exchange.seq === null && !this._placed.has(exchange)) this._place(exchange, event.seq);
    }
    return exchange ?? null;
  }

  /** An attempt begins: what earlier ones have streamed is void. */
  _attempt(exchange, attempt) {
    if (exchange.ended || attempt <= exchange.attempt) return;
    if (exchange.attempt > 0) exchange.restarts += 1;
    exchange.attempt = attempt;
    exchange.state = "answering";
    exchange.answer = "";
    exchange.length = 0;
  }

  _chunk(event) {
    const exchange = this._byTurn.get(event.turnId);
    if (exchange === undefined || exchange.ended || event.attempt < exchange.attempt) return;
    this._attempt(exchange, event.attempt);
    if (event.offset > exchange.length) return; // after a gap, which the end of the turn fills
    const points = [...event.text];
    const fresh = points.slice(exchange.length - event.offset);
    if (fresh.length === 0) return;
    exchange.answer += fresh.join("");
    exchange.length += fresh.length;
    this._touch(exchange);
  }

  _tool(exchange, event, news) {
    let tool = exchange.tools.find((each) => each.callId === event.callId);
    if (tool === undefined) {
      tool = { callId: event.callId, name: event.name, arguments: "", status: "", text: null, approvalId: null };
      exchange.tools.push(tool);
    }
    if (event.arguments !== undefined) tool.arguments = event.arguments;
    Object.assign(tool, { deciding: null }, news);
  }

  _error(event) {
    const exchange = event.messageId === undefined ? undefined : this._byId.get(event.messageId);
    if (event.code === "quarantined") return; // the end of its turn says the same
    if (exchange === undefined || exchange.seq !== null) {
      return this._notice("error", event.code, event.text);
    }
    this._refuse(exchange, { code: event.code, text: event.text });
  }

  _notice(kind, code, text) {
    const last = this.entries.at(-1);
    if (last?.kind === "notice" && last.code === code && last.text === text) {
      last.times += 1;
      return this._touch(last);
    }
    const notice = { kind: "notice", level: kind, code, text, times: 1, order: (this.lastSeq ?? 0) + 0.5 };
    const notices = this.entries.filter((entry) => entry.kind === "notice");
    if (notices.length >= MAX_NOTICES) this.entries.splice(this.entries.indexOf(notices[0]), 1);
    this._place(notice);
    if (code === "already_decided" || code === "not_accepted") this._decisionsFailed();
    this._touch(notice);
  }

  /** A decision did not count: who still waits may be asked again. */
  _decisionsFailed() {
    for (const entry of this.entries) {
      for (const tool of entry.tools ?? []) {
        if (tool.deciding) {
          tool.deciding = null;
          this._touch(entry);
        }
      }
    }
  }

  _exchange(id) {
    let exchange = this._byId.get(id);
    if (exchange === undefined) {
      exchange = new Exchange(id);
      this._byId.set(id, exchange);
      this._open.add(exchange);
    }
    return exchange;
  }

  /** Put an entry where it belongs: by number, and what has none at the end. */
  _place(entry, seq = null) {
    if (seq !== null) entry.seq = seq;
    if (this._placed.has(entry)) this.entries.splice(this.entries.indexOf(entry), 1);
    this._placed.add(entry);
    let at = this.entries.length;
    while (at > 0 && this.entries[at - 1].order > entry.order) at -= 1;
    this.entries.splice(at, 0, entry);
    this.reordered = true;
  }

  _touch(entry) {
    this.changed.add(entry);
    this.onchange();
  }
}
