// Where people write: grows with what is written, keeps a draft for each session, sends and stops.

import { icon } from "./common.js";

export class Composer {
  /**
   * @param {{form, input, send, stop, stopAll}} parts
   * @param {{say: function(string), stop: function(boolean), lastSaid: function(): string}} host
   */
  constructor(parts, host) {
    this.parts = parts;
    this.host = host;
    this._drafts = new Map();
    this._session = null;
    parts.send.append(icon("send"));
    parts.stop.append(icon("stop"));
    parts.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this._send();
    });
    parts.input.addEventListener("keydown", (event) => this._key(event));
    parts.input.addEventListener("input", () => this._fit());
    parts.stop.addEventListener("click", () => host.stop(false));
    parts.stopAll.addEventListener("click", () => host.stop(true));
    this._fit();
  }

  focus() {
    this.parts.input.focus();
  }

  /** Another session's draft. */
  turnTo(session) {
    const { input } = this.parts;
    if (this._session !== null) this._drafts.set(this._session, input.value);
    this._session = session;
    input.value = this._drafts.get(session) ?? "";
    this._fit();
  }

  /** Put text there, as somebody might have written it. */
  write(text) {
    const { input } = this.parts;
    input.value = text;
    this._fit();
    input.focus();
    input.setSelectionRange(text.length, text.length);
  }

  /** What there is to stop. */
  show({ running, waiting }) {
    const { stop, stopAll } = this.parts;
    const lost = (stop === document.activeElement && !running) || (stopAll === document.activeElement && waiting === 0);
    stop.hidden = !running;
    stopAll.hidden = waiting === 0;
    if (lost) this.focus();
  }

  _key(event) {
    // Who is choosing a character in an input method confirms it with Enter.
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Enter" && !event.shiftKey && !event.altKey) {
      event.preventDefault();
      this._send();
    } else if (event.key === "ArrowUp" && this.parts.input.value === "" && !event.altKey) {
      event.preventDefault();
      this.write(this.host.lastSaid());
    }
  }

  _send() {
    const { input } = this.parts;
    const text = input.value;
    if (!text.trim()) return;
    input.value = "";
    this._fit();
    this.host.say(text);
  }

  _fit() {
    const { input, send } = this.parts;
    input.style.height = "auto";
    input.style.height = `${input.scrollHeight}px`;
    send.disabled = !input.value.trim();
  }
}
