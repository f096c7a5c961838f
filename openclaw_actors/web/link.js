// Owns the one web socket of a page: connects, finds out why it could not, comes back by itself.

const V2 = "openclaw.v2";
const TOKEN_PREFIX = "openclaw.token.";
const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 10_000;
const HEARTBEAT_MS = 20_000;
const SILENCE_MS = 35_000;
const OPEN_TIMEOUT_MS = 10_000;

export class Link {
  /**
   * @param {{
   *   url: function(): string,
   *   token: function(): string,
   *   onopen: function(), onevent: function(Object), onclose: function({code: number, reason: string, opened: boolean}),
   *   onwait: function(number)
   * }} host `onwait` hears when the next attempt is made, in ms from now
   */
  constructor(host) {
    this.host = host;
    this.open = false;
    this._socket = null;
    this._failures = 0;
    this._timer = null;
    this._beat = null;
    this._ended = true;
    addEventListener("online", () => this.hurry());
    document.addEventListener("visibilitychange", () => document.hidden || this.hurry());
  }

  /** Connect, and stay connected. */
  start() {
    this._ended = false;
    this._connect();
  }

  /** Disconnect, and stay so. */
  end() {
    this._ended = true;
    clearTimeout(this._timer);
    this._drop();
  }

  /** Do not wait any longer for the next attempt. */
  hurry() {
    if (this._ended || this._socket) return;
    clearTimeout(this._timer);
    this._connect();
  }

  /** Send a frame; false: there is no connection, and what matters is sent when there is. */
  send(frame) {
    if (!this.open) return false;
    this._socket.send(JSON.stringify(frame));
    return true;
  }

  _connect() {
    const token = this.host.token();
    const socket = new WebSocket(this.host.url(), token ? [V2, TOKEN_PREFIX + token] : [V2]);
    this._socket = socket;
    const slow = setTimeout(() => socket === this._socket && this._lost(socket, 0, "no answer"), OPEN_TIMEOUT_MS);
    socket.onopen = () => {
      clearTimeout(slow);
      if (socket !== this._socket) return;
      this.open = true;
      this._failures = 0;
      this._heard = Date.now();
      this._beat = setInterval(() => this._heartbeat(socket), HEARTBEAT_MS);
      this.host.onopen();
    };
    socket.onmessage = (message) => {
      if (socket !== this._socket) return;
      this._heard = Date.now();
      let event;
      try {
        event = JSON.parse(message.data);
      } catch {
        return;
      }
      if (event.type !== "pong") this.host.onevent(event);
    };
    socket.onclose = (close) => {
      clearTimeout(slow);
      this._lost(socket, close.code, close.reason);
    };
  }

  /** A laptop that slept, or a network that changed, leaves a socket that nobody closes. */
  _heartbeat(socket) {
    if (socket !== this._socket) return;
    if (Date.now() - this._heard > SILENCE_MS) this._lost(socket, 0, "silence");
    else this.send({ type: "heartbeat" });
  }

  _lost(socket, code, reason) {
    if (socket !== this._socket) return;
    const opened = this.open;
    this._drop();
    if (this._ended) return;
    this._failures += 1;
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (this._failures - 1));
    const wait = code === 1008 ? LONGEST_WAIT_MS : longest * (0.5 + Math.random() / 2);
    this._timer = setTimeout(() => this._connect(), wait);
    this.host.onclose({ code, reason, opened });
    this.host.onwait(wait);
  }

  _drop() {
    const socket = this._socket;
    this._socket = null;
    this.open = false;
    clearInterval(this._beat);
    if (socket) socket.close();
  }
}
