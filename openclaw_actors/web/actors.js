// What the page knows of the actors, and decides which of them need a person, and why.

import { durationText } from "./common.js";

export const LONG_TURN_S = 60;
const LONG_START_S = 10;

/** All actors, as the gateway tells them. */
export class Actors {
  constructor() {
    this.all = new Map();
    this.memory = new Map();
    this.health = null;
  }

  /** Take an event in; returns what has happened, for people: `{at, name, text, bad}`. */
  take(name, data) {
    if (name === "snapshot") {
      this.all = new Map(data.actors.map((actor) => [actor.name, actor]));
      this.memory = new Map(Object.entries(data.memory));
      this.health = data.health;
    } else if (name === "actors") {
      const news = [];
      for (const { change, actor } of data.changed) {
        this.all.set(actor.name, actor);
        const text = told(change, actor);
        if (text) news.push({ at: data.at, name: actor.name, text, bad: BAD.has(change) });
      }
      for (const { name: gone, why } of data.gone) {
        this.all.delete(gone);
        this.memory.delete(gone);
        news.push({ at: data.at, name: gone, text: why === "passivated" ? "left memory" : "ended", bad: false });
      }
      return news;
    } else if (name === "memory") {
      for (const [actor, bytes] of Object.entries(data.resident_bytes)) this.memory.set(actor, bytes);
    } else if (name === "health") {
      const before = new Set(this.health?.problems ?? []);
      this.health = data;
      return data.problems
        .filter((problem) => !before.has(problem))
        .map((problem) => ({ at: Date.now() / 1000, name: "health", text: problem, bad: true }));
    }
    return [];
  }

  services() {
    return [...this.all.values()].filter((actor) => actor.kind !== "session");
  }

  sessions() {
    return [...this.all.values()].filter((actor) => actor.kind === "session");
  }

  totalMemory() {
    let total = 0;
    for (const bytes of this.memory.values()) total += bytes;
    return total;
  }
}

const BAD = new Set(["died", "restarted", "failed", "silent"]);

function told(change, actor) {
  const why = actor.reason ? `: ${actor.reason}` : "";
  switch (change) {
    case "died":
      return `died${why}`;
    case "restarted":
      return `was replaced${why}`;
    case "failed":
      return `failed${why}`;
    case "silent":
      return "does not answer";
    case "answers":
      return "answers again";
    case "ready":
      return `is ready (pid ${actor.pid})`;
    case "stopped":
      return "was stopped";
    default:
      return "";
  }
}

/**
 * Why an actor needs a person, if it does.
 * @param {number} now Unix time, seconds
 * @returns {{level: "bad"|"warn", text: string}|null}
 */
export function worryOf(actor, now) {
  const why = actor.reason ? `: ${actor.reason}` : "";
  if (actor.silent_since) {
    return { level: "bad", text: `has not answered for ${durationText(Math.max(1, now - actor.silent_since))}` };
  }
  if (actor.state === "failed") {
    return { level: "bad", text: `failed after ${times(actor.restarts)}${why}; it is still tried, but rarely` };
  }
  if (actor.state === "restarting") return { level: "bad", text: `is being restarted${why}` };
  if (actor.state === "stopped") return { level: "warn", text: "was stopped by an operator" };
  if (actor.activity === "waiting") return { level: "warn", text: actor.doing };
  if (actor.state === "waiting") return { level: "warn", text: "waits for a place (sessions.max_live)" };
  if (actor.doing_since && now - actor.doing_since > LONG_TURN_S) {
    return { level: "warn", text: `has been busy for ${durationText(now - actor.doing_since)}: ${actor.doing}` };
  }
  if (actor.state === "starting" && now - actor.since > LONG_START_S && actor.kind === "service") {
    return { level: "warn", text: "is still starting" };
  }
  return null;
}

function times(count) {
  return count === 1 ? "1 restart" : `${count} restarts`;
}

/** What an actor is doing, and since when. */
export function doingText(actor, now) {
  if (actor.pid === null) return actor.state === "stopped" ? "stopped" : "no process";
  if (!actor.doing_since) return actor.doing;
  return `${actor.doing}, ${durationText(Math.max(0, now - actor.doing_since))}`;
}

/** A size in bytes. */
export function bytesText(bytes) {
  if (!bytes) return "–";
  if (bytes < 1_048_576) return `${Math.round(bytes / 1024)} kB`;
  if (bytes < 1_073_741_824) return `${Math.round(bytes / 1_048_576)} MB`;
  return `${(bytes / 1_073_741_824).toFixed(1)} GB`;
}
