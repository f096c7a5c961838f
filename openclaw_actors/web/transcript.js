// Shows one conversation: its messages, answers, tools and notices, as they change.

import { announce, copyText, el, icon, iconButton } from "./common.js";
import { TRY_AGAIN } from "./conversation.js";
import { rendered } from "./markdown.js";
import { ToolCards } from "./tools.js";

const NEAR_END_PX = 90;
const SPOKEN_CHARS = 1_500;
const RENDER_SHARE = 6; // a long answer is rendered so seldom that it takes a sixth of the time at most
const FATES = { completed: "Answered", stopped: "Stopped", failed: "Failed", interrupted: "Interrupted" };
const ENDS = {
  failed: "This could not be answered.",
  interrupted: "The answer was interrupted, and will not go on.",
};
const WORDS = {
  // The reason alone is half a sentence.
  session_restarted: (why) => (/^[a-z]/.test(why) ? `This conversation was restarted: ${why.replace(/\.$/, "")}.` : why),
};
const CODES = {
  collected: "Answered together with the next message.",
  steered: "Taken into the answer that was being given.",
  interrupted: "Stopped, as another message came.",
};

export class Transcript {
  /**
   * @param {HTMLElement} list where the entries go
   * @param {HTMLElement} scroller what scrolls
   * @param {{resend, discard, edit, ask, decide, example}} actions what buttons in it do
   */
  constructor(list, scroller, actions) {
    this.list = list;
    this.scroller = scroller;
    this.actions = actions;
    this.connected = false;
    this.conversation = null;
    this.follows = true; // the end is kept in sight
    this._views = new Map();
    this._due = 0;
    // What is at the end stays there when the window, or a telephone's keyboard, takes room away.
    new ResizeObserver(() => this.follows && this.toEnd()).observe(scroller);
    scroller.addEventListener("scroll", () => {
      this.follows = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END_PX;
      this.onfollow?.(this.follows);
    });
  }

  /** Show another conversation. */
  show(conversation) {
    if (this.conversation) this.conversation.onchange = () => {};
    this.conversation = conversation;
    this._views.clear();
    this.list.replaceChildren();
    conversation.reordered = true;
    conversation.onchange = () => this.soon();
    this.follows = true;
    this.update();
  }

  /** Show what has changed, at the next frame. */
  soon() {
    if (this._due) return;
    // A hidden tab draws no frames, but what is said in it must be there when it is looked at.
    this._due = document.hidden ? setTimeout(() => this.update(), 200) : requestAnimationFrame(() => this.update());
  }

  /** Everything is looked at again: something that concerns all has changed. */
  all() {
    for (const entry of this.conversation?.entries ?? []) this.conversation.changed.add(entry);
    this.soon();
  }

  update() {
    this._due = 0;
    const conversation = this.conversation;
    const { follows } = this;
    if (conversation.reordered) this._reorder();
    for (const entry of conversation.changed) this._views.get(entry)?.update();
    conversation.changed.clear();
    if (follows) this.toEnd();
    this.onupdate?.();
  }

  toEnd() {
    this.follows = true;
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  /** Keep in sight what is in sight while something is put above it. */
  keepPlace(change) {
    const below = this.scroller.scrollHeight - this.scroller.scrollTop;
    this.follows = false;
    change();
    this.update();
    this.scroller.scrollTop = this.scroller.scrollHeight - below;
  }

  _reorder() {
    const { conversation } = this;
    conversation.reordered = false;
    const views = new Map();
    let place = this.list.firstChild;
    for (const entry of conversation.entries) {
      let view = this._views.get(entry);
      if (view === undefined) {
        view = entry.kind === "notice" ? new NoticeView(entry) : new ExchangeView(entry, this);
        view.update();
      }
      views.set(entry, view);
      if (view.node === place) place = place.nextSibling;
      else this.list.insertBefore(view.node, place);
    }
    for (const [entry, view] of this._views) if (!views.has(entry)) view.node.remove();
    this._views = views;
  }
}

class NoticeView {
  constructor(notice) {
    this.notice = notice;
    this.node = el("li", { class: `notice ${notice.level}` });
  }

  update() {
    const { notice } = this;
    const words = WORDS[notice.code]?.(notice.text) ?? notice.text;
    this.node.textContent = notice.times > 1 ? `${words} (${notice.times} times)` : words;
    if (!notice.spoken) announce(words);
    notice.spoken = true;
  }
}

class ExchangeView {
  constructor(exchange, transcript) {
    this.exchange = exchange;
    this.transcript = transcript;
    this._state = null;
    this._text = null;
    this._answer = "";
    this._cost = 0;
    this._rendered = 0;
    this.said = el("div", { class: "bubble" });
    this.fate = el("div", { class: "fate" });
    this.tools = new ToolCards(transcript.actions);
    this.answer = el("div", { class: "markdown" });
    this.foot = el("div", { class: "foot" });
    this.reply = el("div", { class: "reply" }, this.tools.node, this.answer, this.foot);
    this.node = el(
      "li",
      { class: "exchange" },
      el("div", { class: "said" }, el("h3", { class: "sr" }, "You"), this.said, this.fate),
      el("h3", { class: "sr" }, "Assistant"),
      this.reply,
    );
  }

  update() {
    const { exchange } = this;
    if (this._text !== exchange.text) {
      this._text = exchange.text;
      this.said.textContent = exchange.text;
    }
    this.said.parentElement.hidden = !exchange.known;
    this.node.dataset.state = exchange.state;
    this.tools.update(exchange.tools);
    this._showAnswer();
    this._showFate();
    this._showFoot();
    if (this._state !== null && this._state !== exchange.state) this._speak();
    this._state = exchange.state;
  }

  _showAnswer() {
    const { exchange } = this;
    if (this._answer === exchange.answer) return;
    const now = performance.now();
    if (!exchange.ended && now - this._rendered < this._cost * RENDER_SHARE) {
      this.transcript.conversation.changed.add(exchange);
      setTimeout(() => this.transcript.soon(), this._cost * RENDER_SHARE);
      return;
    }
    this._answer = exchange.answer;
    this.answer.replaceChildren(rendered(exchange.answer));
    this._rendered = performance.now();
    this._cost = this._rendered - now;
  }

  _showFate() {
    const { exchange } = this;
    const parts = this._fate();
    const shown = `${exchange.state} ${parts.map((part) => part.textContent ?? part).join(" ")}`;
    if (shown === this._shownFate) return;
    this._shownFate = shown;
    this.fate.replaceChildren(...parts);
    this.fate.classList.toggle("bad", exchange.state === "refused");
  }

  _fate() {
    const { exchange, transcript } = this;
    switch (exchange.state) {
      case "sending":
        return [transcript.connected ? "Sending…" : "Waits for the connection"];
      case "waiting": {
        const ahead = transcript.conversation.ahead(exchange);
        if (exchange.busy === "collect") return ["Accepted · will be answered with what else waits"];
        return [ahead ? `Accepted · ${ahead} ahead of it` : "Accepted"];
      }
      case "answering":
        return ["Accepted · being answered"];
      case "refused":
        return this._refused();
      default:
        return this._ended();
    }
  }

  _ended() {
    const { exchange, transcript } = this;
    const fate = el("span", {}, CODES[exchange.code] ?? FATES[exchange.state]);
    // What was taken into another answer is not asked again.
    if (exchange.state === "completed" || exchange.code === "steered" || !exchange.known) return [fate];
    const again = () => transcript.actions.ask(exchange.text);
    return [fate, el("button", { type: "button", class: "link", onclick: again }, icon("retry"), "Ask again")];
  }

  _refused() {
    const { exchange, transcript } = this;
    const { actions } = transcript;
    const again = TRY_AGAIN.has(exchange.refusal.code) || exchange.refusal.code === "message_id_conflict";
    return [
      el("span", {}, icon("close"), `Not taken: ${exchange.refusal.text}`),
      again && el("button", { type: "button", class: "link", onclick: () => actions.resend(exchange) }, "Send again"),
      el("button", { type: "button", class: "link", onclick: () => actions.edit(exchange) }, "Edit"),
      el("button", { type: "button", class: "link", onclick: () => actions.discard(exchange) }, "Discard"),
    ].filter(Boolean);
  }

  _showFoot() {
    const { exchange } = this;
    const shown = `${exchange.state} ${exchange.restarts} ${exchange.answer === ""} ${exchange.tools.length}`;
    if (shown === this._shownFoot) return;
    this._shownFoot = shown;
    this.foot.replaceChildren(...this._foot());
  }

  _foot() {
    const { exchange } = this;
    const parts = [];
    if (exchange.state === "answering") {
      if (exchange.restarts) parts.push(el("span", { class: "quiet" }, "It was interrupted, and starts again."));
      parts.push(el("span", { class: "typing", role: "img", "aria-label": "Answering" }, el("i"), el("i"), el("i")));
      return parts;
    }
    const end = ENDS[exchange.state];
    if (end) parts.push(el("span", { class: exchange.state === "failed" ? "bad" : "quiet" }, end));
    if (exchange.ended && exchange.answer) {
      const button = iconButton("copy", "Copy answer", async () => {
        const done = await copyText(exchange.answer);
        announce(done ? "Copied" : "Could not be copied");
        button.replaceChildren(icon(done ? "check" : "close"));
        setTimeout(() => button.replaceChildren(icon("copy")), 1_500);
      });
      parts.push(button);
    }
    return parts;
  }

  /** A screen reader hears what has become of a message once, not each word as it comes. */
  _speak() {
    const { exchange } = this;
    if (exchange.state === "answering") announce("Answering");
    else if (exchange.state === "refused") announce(`Not taken: ${exchange.refusal.text}`);
    else if (exchange.ended) {
      const end = ENDS[exchange.state] ?? (exchange.state === "stopped" ? "Stopped." : "");
      announce(`${end} ${this.answer.textContent.slice(0, SPOKEN_CHARS)}`.trim());
    } else if (exchange.state === "waiting") announce(this.fate.textContent);
  }
}
