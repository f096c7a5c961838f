// Follows the gateway: reads server-sent events with a token in a header, and comes again by itself.

import { token } from "./common.js";

const SILENCE_MS = 15_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8_000;

/** Take server-sent events out of a text that may end in the middle of one; returns the events and what is left. */
export function parseEvents(text) {
  const blocks = text.split("\n\n");
  const rest = blocks.pop();
  const events = [];
  for (const block of blocks) {
    let name = "message";
    let data = "";
    for (const line of block.split("\n")) {
      if (line.startsWith("event: ")) name = line.slice(7);
      else if (line.startsWith("data: ")) data += line.slice(6);
    }
    if (data) events.push([name, JSON.parse(data)]);
  }
  return [events, rest];
}

/** The stream of `GET /api/events`. */
export class Live {
  /**
   * @param {{onevent: function(string, Object), onstate: function(string, string), ondenied: function()}} told
   *     `onstate`: `live`, `lost` or `refused`, with a text for people
   */
  constructor(told) {
    this.told = told;
    this.waitMs = FIRST_WAIT_MS;
    this.dropped = "";
  }

  start() {
    this.stopped = false;
    this.run();
  }

  async run() {
    while (!this.stopped) {
      this.dropped = "";
      let why;
      try {
        why = await this.follow();
      } catch {
        why = "";
      }
      if (this.stopped) return;
      this.told.onstate(why === "refused" ? "refused" : "lost", this.dropped || this.refusal || "");
      await new Promise((resolve) => setTimeout(resolve, this.waitMs));
      this.waitMs = Math.min(LONGEST_WAIT_MS, this.waitMs * 2);
    }
  }

  async follow() {
    const abort = new AbortController();
    let timer = setTimeout(() => abort.abort(), SILENCE_MS);
    try {
      const headers = token.get() ? { Authorization: `Bearer ${token.get()}` } : {};
      const answer = await fetch("/api/events", {
        headers,
        signal: abort.signal,
        cache: "no-store",
        credentials: "omit",
      });
      if (answer.status === 401) {
        this.stopped = true;
        this.told.ondenied();
        return "";
      }
      if (!answer.ok) {
        this.refusal = (await answer.json().catch(() => null))?.error?.text ?? "";
        return "refused";
      }
      this.refusal = "";
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return "";
        clearTimeout(timer);
        timer = setTimeout(() => abort.abort(), SILENCE_MS);
        let events;
        [events, rest] = parseEvents(rest + value);
        for (const [name, data] of events) this.received(name, data);
      }
    } finally {
      clearTimeout(timer);
      abort.abort();
    }
  }

  received(name, data) {
    if (name === "snapshot") {
      this.waitMs = FIRST_WAIT_MS;
      this.told.onstate("live", "");
    } else if (name === "dropped") {
      this.dropped = data.text;
    }
    this.told.onevent(name, data);
  }
}
