// Searches the gateway's log.

import { api, el } from "./common.js";

const LEVELS = ["debug", "info", "warning", "error"];
const LIMIT = 300;

/** The section with the log. */
export class LogView {
  /** @param {{form: HTMLFormElement, list: HTMLElement, status: HTMLElement}} parts */
  constructor(parts) {
    this.parts = parts;
    const text = (label, width) => el("input", { type: "search", "aria-label": label, placeholder: label, class: width, autocomplete: "off", spellcheck: false });
    this.correlation = text("Correlation id", "wide-input");
    this.session = text("Session", "wide-input");
    this.contains = text("Text", "");
    this.level = el("select", { "aria-label": "Least level" }, ...LEVELS.map((level) => el("option", { value: level }, level)));
    parts.form.append(
      this.correlation,
      this.session,
      this.contains,
      this.level,
      el("button", { type: "submit" }, "Search"),
      el("button", { type: "button", onclick: () => this.search({}) }, "Everything"),
    );
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.refresh();
    });
    this.level.addEventListener("change", () => this.refresh());
  }

  /** Show the lines with these marks. */
  search({ correlation = "", session = "", contains = "" }) {
    this.correlation.value = correlation;
    this.session.value = session;
    this.contains.value = contains;
    this.level.value = "debug";
    return this.refresh();
  }

  async refresh() {
    const { list, status } = this.parts;
    const query = { level: this.level.value, limit: LIMIT };
    for (const name of ["correlation", "session", "contains"]) {
      if (this[name].value.trim()) query[name] = this[name].value.trim();
    }
    const mine = (this.asked = Symbol("search"));
    status.textContent = "Searching…";
    let found;
    try {
      found = await api("GET", "/logs", { query });
    } catch (problem) {
      if (this.asked === mine) status.textContent = problem.text ?? String(problem);
      return;
    }
    if (this.asked !== mine) return;
    const lines = found.lines.length === 1 ? "1 line" : `${found.lines.length} lines`;
    const searched = `${Math.max(1, Math.round(found.searched_bytes / 1024))} kB searched`;
    const more = found.more ? "; there may be older ones" : "";
    status.textContent = found.lines.length
      ? `${lines}, ${searched}${more}.`
      : `No line matches, ${searched}. What is logged at all is decided by logging.level.`;
    list.replaceChildren(...found.lines.map((line) => this.line(line)));
    list.scrollTop = list.scrollHeight;
  }

  line(line) {
    const marks = [];
    if (line.session) {
      marks.push(el("button", { type: "button", class: "link mark", title: "Only this session", onclick: () => this.search({ session: line.session }) }, line.session));
    }
    if (line.correlation) {
      marks.push(el("button", { type: "button", class: "link mark", title: "Only this correlation id", onclick: () => this.search({ correlation: line.correlation }) }, line.correlation));
    }
    return el(
      "li",
      { class: "log-line", "data-level": line.level },
      el("time", { class: "quiet", dateTime: line.at }, line.at.slice(11, 23)),
      el("span", { class: "level" }, line.level),
      el("span", { class: "process quiet" }, `${line.process}[${line.pid}]`),
      el("span", { class: "log-text" }, line.text, ...marks.flatMap((mark) => [" ", mark])),
    );
  }
}
