// The chat page: puts its parts together.

import { api, announce, el, gatewayConfig, icon, iconButton, signIn, socketUrl, toast, toggleTheme, token } from "./common.js";
import { Composer } from "./composer.js";
import { askForText, showHelp } from "./dialogs.js";
import { Link } from "./link.js";
import { Rooms } from "./rooms.js";
import { Sidebar, newName } from "./sidebar.js";
import { Transcript } from "./transcript.js";

const FIRST_SESSION = "main";
const EXAMPLES = ["Hello! What can you do?", "/help", "/status"];
const BRANCH_CHARS = 64;
const MAX_NAME_CHARS = 128;
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;

const part = (id) => document.getElementById(id);

class Page {
  constructor(config, me) {
    this.config = config;
    this.owner = me.owner;
    this.session = null;
    this.transcript = new Transcript(part("entries"), part("scroller"), {
      resend: (exchange) => this.rooms.again(this.session, exchange),
      discard: (exchange) => this.rooms.discard(this.session, exchange),
      edit: (exchange) => {
        this.rooms.discard(this.session, exchange);
        this.composer.write(exchange.text);
      },
      ask: (text) => this.say(text),
      decide: (tool, approved) => this.rooms.decide(this.session, tool, approved),
    });
    this.link = new Link({
      url: () => socketUrl(this.config),
      token: () => token.get(),
      onopen: () => this.connected(),
      onclose: (close) => this.disconnected(close),
      onwait: (ms) => this.waits(ms),
      onevent: (event) => this.rooms.received(event),
    });
    this.rooms = new Rooms(me.prefix, this.link, {
      onactivity: (session, what) => this.activity(session, what),
      ontrouble: (text) => toast(text),
    });
    this.composer = new Composer(
      { form: part("composer"), input: part("input"), send: part("send"), stop: part("stop"), stopAll: part("stop-all") },
      {
        say: (text) => this.say(text),
        stop: (queue) => this.stop(queue),
        lastSaid: () => this.transcript.conversation.entries.findLast((entry) => entry.text)?.text ?? "",
      },
    );
    this.sidebar = new Sidebar(
      me.prefix,
      { list: part("sessions"), search: part("search"), status: part("sessions-status") },
      {
        choose: (session) => this.go(session),
        deleted: (session) => this.deleted(session),
        restored: (session) => this.restored(session),
        stateOf: (session) => this.stateOf(session),
        ontitle: (session) => session === this.session && this.showTitle(),
      },
    );
    this.transcript.onupdate = () => this.showState();
    this.transcript.onfollow = (follows) => (part("to-end").hidden = follows);
    this.furnish();
  }

  start() {
    const unsent = Rooms.unsent()[0]?.session;
    this.open(wantedSession() ?? unsent ?? FIRST_SESSION);
    this.link.start();
    this.sidebar.refresh();
  }

  /** Buttons and listeners. */
  furnish() {
    part("open-sidebar").append(icon("menu"));
    part("close-sidebar").append(icon("close"));
    part("new-session").prepend(icon("plus"));
    part("tools").append(
      iconButton("branch", "Keep a branch of this session", () => this.branch()),
      iconButton("theme", "Dark or light (Alt + T)", () => announce(`The page is ${toggleTheme()} now`)),
      iconButton("help", "Keyboard shortcuts (?)", () => showHelp(this.config.version)),
    );
    if (this.config.token_required) {
      part("side-foot").append(
        el("button", { type: "button", class: "link", onclick: () => this.signOut() }, icon("key"), "Forget the token"),
      );
    }
    if (this.owner) part("side-foot").append(el("a", { href: "/dashboard" }, "Dashboard"));
    part("examples").append(
      ...EXAMPLES.map((text) => el("button", { type: "button", onclick: () => this.say(text) }, text)),
    );
    part("new-session").addEventListener("click", () => this.newSession());
    part("open-sidebar").addEventListener("click", () => this.showSidebar(true));
    part("close-sidebar").addEventListener("click", () => this.showSidebar(false));
    part("shade").addEventListener("click", () => this.showSidebar(false));
    part("to-end").addEventListener("click", () => this.transcript.toEnd());
    part("earlier").addEventListener("click", () => this.showEarlier());
    addEventListener("hashchange", () => this.open(wantedSession() ?? FIRST_SESSION));
    document.addEventListener("keydown", (event) => this.key(event));
    matchMedia("(max-width: 760px)").addEventListener("change", () => this.showSidebar(false));
    this.showSidebar(false);
  }

  // Sessions

  go(session) {
    this.showSidebar(false);
    this.composer.focus();
    if (session === this.session) return;
    location.hash = `s=${encodeURIComponent(session)}`; // stays in the browser; a server never sees it
  }

  open(session) {
    if (session === this.session) return;
    this.composer.turnTo(session);
    this.session = session;
    const conversation = this.rooms.open(session);
    this.sidebar.choose(session);
    this.transcript.show(conversation);
    this.showTitle();
    announce(`Session ${this.sidebar.title(session)}`);
  }

  newSession() {
    this.go(newName());
  }

  deleted(session) {
    this.rooms.forget(session);
    if (session !== this.session) return;
    this.session = null;
    const next = this.sidebar.sessions[0]?.id ?? FIRST_SESSION;
    if (wantedSession() === next || (wantedSession() === null && next === FIRST_SESSION)) this.open(next);
    else this.go(next);
  }

  restored(session) {
    this.rooms.forget(session);
    if (session === this.session) this.session = null;
    this.go(session);
    this.open(session);
  }

  stateOf(session) {
    const conversation = this.rooms.find(session);
    if (!conversation) return "";
    if (conversation.running) return conversation.running.tools.some((tool) => tool.status === "asks") ? "asks" : "answering";
    return conversation.untaken.length ? "unsent" : "";
  }

  activity(session, what) {
    const first = this.rooms.find(session)?.events.find((event) => event.seq === 1)?.text;
    if (["message_accepted", "turn_started", "turn_done", "tool_approval_required", "tool_result", "loaded"].includes(what)) {
      this.sidebar.touched(session, { first, said: what === "message_accepted" });
    }
    if (session === this.session) this.showState();
  }

  async showEarlier() {
    const button = part("earlier");
    const { conversation } = this.transcript;
    button.disabled = true;
    try {
      const { events, earlier } = await this.rooms.earlier(conversation.session);
      if (conversation === this.transcript.conversation) {
        this.transcript.keepPlace(() => conversation.prepend(events, earlier));
      }
    } catch (problem) {
      toast(problem.text);
    }
    button.disabled = false;
  }

  async branch() {
    const name = await askForText({
      title: "Keep a branch",
      label: "Name",
      hint: "The conversation is kept as it stands now. Say /branch list to see all, /branch restore NAME to go back.",
      action: "Keep",
      check: (given) => {
        if (!given) return "A name is needed.";
        return [...given].length > BRANCH_CHARS ? `A name has ${BRANCH_CHARS} characters at most.` : "";
      },
    });
    if (name !== null) this.say(`/branch ${name}`);
  }

  // Talking

  say(text) {
    this.rooms.say(this.session, text);
    this.transcript.toEnd();
    this.composer.focus();
  }

  stop(queue) {
    if (!this.rooms.stop(this.session, { queue })) toast("There is no connection; it cannot be stopped from here now.");
    else announce("Stopping");
  }

  // The connection

  connected() {
    this.transcript.connected = true;
    this.showConnection("connected", "Connected");
    part("banner").hidden = true;
    this.rooms.connected();
    this.transcript.all();
    this.sidebar.refresh();
  }

  async disconnected(close) {
    this.transcript.connected = false;
    this.rooms.disconnected(close);
    this.transcript.all();
    if (close.opened) return this.explain(close.reason && close.code === 1008 ? `Disconnected: ${close.reason}.` : "The connection is lost.");
    // A browser does not say why a web socket was refused: the other port does.
    try {
      await api("GET", "/me");
      this.config = await gatewayConfig(); // its ports may be others by now
      this.explain(`The gateway answers, but not its web socket at ${socketUrl(this.config)}.`);
    } catch (problem) {
      if (problem.status !== 401) return this.explain(problem.text);
      this.link.end();
      token.set("");
      await signIn(this.config, "The token is not right any more.");
      location.reload(); // another token may be somebody else's
    }
  }

  explain(text) {
    if (this.link.open) return;
    const banner = part("banner");
    banner.replaceChildren(
      el("span", {}, `${text} What you write is sent as soon as it is back.`),
      el("button", { type: "button", class: "link", onclick: () => this.link.hurry() }, "Try now"),
    );
    banner.hidden = false;
  }

  waits(ms) {
    this.showConnection("waiting", ms < 1_000 ? "Connecting…" : `Trying again in ${Math.round(ms / 1_000)} s`);
  }

  showConnection(state, text) {
    const shown = part("connection");
    shown.dataset.state = state;
    shown.textContent = text;
  }

  async signOut() {
    token.set("");
    location.reload();
  }

  // Showing

  showTitle() {
    const title = this.sidebar.title(this.session);
    part("title").textContent = title;
    document.title = `${title} · openclaw`;
  }

  showState() {
    const { conversation } = this.transcript;
    const { running } = conversation;
    const waiting = conversation.waiting.length;
    const empty = conversation.lastSeq !== null && conversation.entries.length === 0;
    part("welcome").hidden = !empty;
    part("earlier").hidden = !conversation.earlier;
    part("entries").setAttribute("aria-busy", String(conversation.lastSeq === null));
    this.composer.show({ running: running !== null || waiting > 0, waiting });
  }

  showSidebar(wanted) {
    const narrow = matchMedia("(max-width: 760px)").matches;
    const sidebar = part("sidebar");
    const was = document.body.classList.contains("side-open");
    document.body.classList.toggle("side-open", wanted && narrow);
    part("shade").hidden = !(wanted && narrow);
    part("open-sidebar").setAttribute("aria-expanded", String(wanted && narrow));
    sidebar.inert = narrow && !wanted;
    if (narrow && wanted) part("close-sidebar").focus();
    else if (was) part("open-sidebar").focus();
  }

  key(event) {
    if (document.querySelector("dialog[open]")) return;
    const writing = event.target.matches("input, textarea");
    const act = (does) => {
      event.preventDefault();
      does();
    };
    if (event.isComposing) return;
    if (event.key === "Escape") {
      if (event.target === part("search")) return; // it empties the field
      if (document.body.classList.contains("side-open")) act(() => this.showSidebar(false));
      else if (!part("stop").hidden) act(() => this.stop(false));
    } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      act(() => {
        this.showSidebar(true);
        part("search").focus();
      });
    } else if (event.altKey && event.code === "KeyN") act(() => this.newSession());
    else if (event.altKey && event.code === "KeyT") act(() => toggleTheme());
    else if (event.altKey && event.key === "ArrowUp") act(() => this.go(this.sidebar.neighbour(-1)));
    else if (event.altKey && event.key === "ArrowDown") act(() => this.go(this.sidebar.neighbour(1)));
    else if (!writing && event.key === "/") act(() => this.composer.focus());
    else if (!writing && event.key === "?") act(() => showHelp(this.config.version));
  }
}

/** Which session the address names, in the part that stays in the browser; null: none, or none that there may be. */
function wantedSession() {
  let named;
  try {
    named = decodeURIComponent(/^#s=(.+)$/.exec(location.hash)?.[1] ?? "");
  } catch {
    return null;
  }
  const length = [...named].length;
  return length > 0 && length <= MAX_NAME_CHARS && !UNPRINTABLE.test(named) ? named : null;
}

async function begin() {
  const config = await gatewayConfig();
  const page = new Page(config, await signIn(config));
  page.start();
  return page;
}

begin().catch((problem) => {
  const banner = part("banner");
  const retry = el("button", { type: "button", class: "link", onclick: () => location.reload() }, "Try again");
  banner.replaceChildren(el("span", {}, problem.text ?? "The gateway cannot be reached."), retry);
  banner.hidden = false;
  part("connection").textContent = "Not connected";
});
