// Draws what the gateway counts, over the last minutes.

import { el } from "./common.js";
import { bytesText } from "./actors.js";

const SVG = "http://www.w3.org/2000/svg";
const WINDOW_S = 300;
const WIDTH = 300;
const HEIGHT = 56;
const SMOOTH_S = 10;
const QUANTILE_S = 30;

function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const sum = (numbers) => Object.values(numbers).reduce((total, each) => total + each, 0);

/** What counts of a histogram's buckets mean: the value below which this part of them lies; null of none. */
export function quantile(bounds, counts, part) {
  const total = counts.reduce((all, each) => all + each, 0);
  if (!total) return null;
  let left = total * part;
  for (let index = 0; index < bounds.length; index += 1) {
    if (left <= counts[index]) {
      const low = index ? bounds[index - 1] : 0;
      return low + ((bounds[index] - low) * left) / (counts[index] || 1);
    }
    left -= counts[index];
  }
  return bounds[bounds.length - 1];
}

function between(before, now) {
  return now.counts.map((count, index) => Math.max(0, count - before.counts[index]));
}

function secondsText(seconds) {
  if (seconds === null) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  return seconds < 10 ? `${seconds.toFixed(1)} s` : `${Math.round(seconds)} s`;
}

function rateText(rate) {
  return rate >= 10 ? String(Math.round(rate)) : rate.toFixed(rate && rate < 1 ? 2 : 1);
}

/** One curve or two, with the newest value in words. */
class Plot {
  constructor(place, title, { second = false, bars = false } = {}) {
    this.title = title;
    this.bars = bars;
    this.value = el("strong", { class: "value" }, "–");
    this.note = el("span", { class: "quiet note" });
    this.area = svg("path", { class: "area" });
    this.line = svg("path", { class: "line" });
    this.second = second ? svg("path", { class: "line second" }) : null;
    this.drawing = svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": title },
      this.area,
      this.line,
      ...(this.second ? [this.second] : []),
    );
    this.top = el("span", { class: "top quiet" });
    place.append(
      el(
        "figure",
        { class: `plot${bars ? " bars" : ""}` },
        el("figcaption", {}, el("span", { class: "plot-title" }, title), this.value, this.note),
        el("div", { class: "drawing" }, this.drawing, this.top),
      ),
    );
  }

  /** @param {Array<[number, number|null]>} points time and value */
  show(points, end, { text, note, topText, second = [] }) {
    const known = [...points, ...second].filter(([, value]) => value !== null).map(([, value]) => value);
    const top = Math.max(...known, 0) || 1;
    const [line, area] = this.path(points, end, top);
    this.line.setAttribute("d", line);
    this.area.setAttribute("d", area);
    if (this.second) this.second.setAttribute("d", this.path(second, end, top)[0]);
    this.value.textContent = text;
    this.note.textContent = note;
    this.top.textContent = known.length && Math.max(...known) > 0 ? topText(top) : "";
    this.drawing.setAttribute("aria-label", `${this.title}: ${text}${note ? `, ${note}` : ""}`);
  }

  path(points, end, top) {
    let line = "";
    let area = "";
    let begins = null;
    let last = 0;
    for (const [at, value] of points) {
      if (value === null) {
        if (begins !== null) area += `L${last} ${HEIGHT}Z`;
        begins = null;
        continue;
      }
      const x = (WIDTH * (1 - (end - at) / WINDOW_S)).toFixed(1);
      const y = (HEIGHT - 2 - (value / top) * (HEIGHT - 6)).toFixed(1);
      if (this.bars) {
        if (value > 0) line += `M${x} ${HEIGHT}V${y}`;
        continue;
      }
      if (begins === null) {
        begins = x;
        line += `M${x} ${y}`;
        area += `M${x} ${HEIGHT}L${x} ${y}`;
      } else {
        line += `L${x} ${y}`;
        area += `L${x} ${y}`;
      }
      last = x;
    }
    if (begins !== null) area += `L${last} ${HEIGHT}Z`;
    return [line, this.bars ? "" : area];
  }
}

/** The row of plots. */
export class Plots {
  constructor(place) {
    this.samples = [];
    this.turns = new Plot(place, "Turns per second");
    this.latency = new Plot(place, "Time of a turn", { second: true });
    this.memory = new Plot(place, "Memory");
    this.restarts = new Plot(place, "Restarts", { bars: true });
    this.writes = new Plot(place, "Commits per second");
  }

  /** Another process counts from here on: what was before belongs to nothing. */
  clear() {
    this.samples = [];
  }

  take(numbers, memory, actors) {
    const last = this.samples.at(-1);
    if (last && sum(numbers.turns_total) < sum(last.turns_total)) this.clear();
    this.samples.push({ ...numbers, memory, actors });
    while (this.samples[0].at < numbers.at - WINDOW_S - SMOOTH_S) this.samples.shift();
  }

  draw() {
    const { samples } = this;
    const now = samples.at(-1);
    if (!now) return;
    const end = now.at;
    this.drawTurns(end);
    this.drawLatency(end);
    this.memory.show(
      samples.filter((each) => each.memory).map((each) => [each.at, each.memory]),
      end,
      { text: bytesText(now.memory), note: `${now.actors} processes; shared pages count in each`, topText: bytesText },
    );
    this.drawRestarts(end);
    this.drawWrites(end);
  }

  /** How much a number grew a second, smoothed. */
  rates(number, smoothS = SMOOTH_S) {
    const { samples } = this;
    const points = [];
    let from = 0;
    for (let index = 1; index < samples.length; index += 1) {
      while (samples[index].at - samples[from].at > smoothS + 0.5 && from < index - 1) from += 1;
      const seconds = samples[index].at - samples[from].at;
      points.push([samples[index].at, Math.max(0, number(samples[index]) - number(samples[from])) / seconds]);
    }
    return points;
  }

  drawTurns(end) {
    const points = this.rates((each) => sum(each.turns_total));
    const now = this.samples.at(-1);
    const failed = now.turns_total.failed ?? 0;
    const note = `${sum(now.turns_total)} since the start${failed ? `, ${failed} failed` : ""}`;
    this.turns.show(points, end, { text: rateText(points.at(-1)?.[1] ?? 0), note, topText: rateText });
  }

  drawLatency(end) {
    const { samples } = this;
    const halves = [];
    const tails = [];
    let from = 0;
    for (let index = 1; index < samples.length; index += 1) {
      while (samples[index].at - samples[from].at > QUANTILE_S && from < index - 1) from += 1;
      const { bounds } = samples[index].turn_seconds;
      const counts = between(samples[from].turn_seconds, samples[index].turn_seconds);
      halves.push([samples[index].at, quantile(bounds, counts, 0.5)]);
      tails.push([samples[index].at, quantile(bounds, counts, 0.95)]);
    }
    const half = halves.findLast(([, value]) => value !== null)?.[1] ?? null;
    const tail = tails.findLast(([, value]) => value !== null)?.[1] ?? null;
    this.latency.show(halves, end, {
      text: secondsText(half),
      note: tail === null ? "no turn yet" : `95 % within ${secondsText(tail)}`,
      topText: secondsText,
      second: tails,
    });
  }

  drawRestarts(end) {
    const count = (each) => sum(each.session_restarts_total) + sum(each.actor_restarts_total);
    const points = this.samples
      .slice(1)
      .map((each, index) => [each.at, Math.max(0, count(each) - count(this.samples[index]))]);
    const now = this.samples.at(-1);
    const recent = count(now) - count(this.samples[0]);
    this.restarts.show(points, end, {
      text: String(recent),
      note: `${count(now)} since the start`,
      topText: (top) => String(top),
    });
  }

  drawWrites(end) {
    const points = this.rates((each) => sum(each.persistence_write_seconds.counts));
    const now = this.samples.at(-1);
    const counts = between(this.samples[0].persistence_write_seconds, now.persistence_write_seconds);
    const tail = quantile(now.persistence_write_seconds.bounds, counts, 0.95);
    const failed = now.persistence_writes_total.failed ?? 0;
    const parts = [tail === null ? "none yet" : `95 % within ${secondsText(tail)}`];
    if (failed) parts.push(`${failed} failed`);
    this.writes.show(points, end, {
      text: rateText(points.at(-1)?.[1] ?? 0),
      note: parts.join(", "),
      topText: rateText,
    });
  }
}
