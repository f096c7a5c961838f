// What all pages share: the token, the theme, questions to /api, times, and small parts of a page.

const TOKEN = "openclaw.token";
const THEME = "openclaw.theme";
const REQUEST_TIMEOUT_MS = 20_000;
const TOAST_MS = 8_000;

// Elements

/**
 * Make an element. Text is always text, never markup.
 * @param {string} tag
 * @param {Object} properties `class`, `on…` listeners, `data-…`/`aria-…` attributes, and properties of the element
 * @param {...(Node|string|null|undefined|false)} children
 */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role" || name === "for") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const ICONS = {
  copy: "M9 9h10v10H9z M5 15V5h10",
  check: "M5 12l5 5L19 7",
  close: "M6 6l12 12M18 6L6 18",
  trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
  plus: "M12 5v14M5 12h14",
  menu: "M4 7h16M4 12h16M4 17h16",
  search: "M11 4a7 7 0 1 1 0 14a7 7 0 0 1 0-14zM16.5 16.5L21 21",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7 7h10v10H7z",
  tool: "M14 7a4 4 0 0 0 5 5l-8 8-4-4 8-8a4 4 0 0 0-1-1z",
  branch: "M7 4v16M7 14c6 0 10-2 10-7M17 7l-3 3M17 7l3 3",
  theme: "M12 3a9 9 0 1 0 9 9a7 7 0 0 1-9-9z",
  key: "M15 4a5 5 0 1 1-3.6 8.5L5 19H3v-3l8.5-7.5A5 5 0 0 1 15 4z",
  help: "M9 9a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1.2-1.500 2.4M12 17.5v.5",
  retry: "M20 11a8 8 0 1 0-2.3 6.3M20 5v6h-6",
};

/** A drawing that says nothing to a screen reader: its button has a label. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button that shows a drawing only. */
export function iconButton(name, label, onclick, properties = {}) {
  const { class: more, ...rest } = properties;
  return el(
    "button",
    { type: "button", class: `icon-button ${more ?? ""}`, "aria-label": label, title: label, onclick, ...rest },
    icon(name),
  );
}

// The token

/** The token of this tab; it ends with the tab, and stands in no URL. */
export const token = {
  get() {
    try {
      return sessionStorage.getItem(TOKEN) ?? "";
    } catch {
      return this.kept ?? "";
    }
  },
  set(value) {
    this.kept = value;
    try {
      if (value) sessionStorage.setItem(TOKEN, value);
      else sessionStorage.removeItem(TOKEN);
    } catch {
      // Storage is switched off: it lives as long as the page.
    }
  },
};

/** Whether a browser can send this token in a WebSocket's handshake. */
export function isSendable(value) {
  return /^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/.test(value);
}

// Questions to the gateway

/** The gateway's answer was an error, or there was none (`status` 0). */
export class ApiError extends Error {
  constructor(status, code, text) {
    super(text);
    this.status = status;
    this.code = code;
    this.text = text;
  }
}

/**
 * Ask `/api`.
 * @param {string} method
 * @param {string} path below `/api`, its parts encoded with `encodeURIComponent`
 * @param {{query?: Object, body?: Object, signal?: AbortSignal, as?: string}} options `as`: a token other than the tab's
 * @returns the answer's JSON
 * @throws {ApiError}
 */
export async function api(method, path, { query = {}, body, signal, as } = {}) {
  const url = new URL(`/api${path}`, location.origin);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  const headers = {};
  const shown = as ?? token.get();
  if (shown) headers.Authorization = `Bearer ${shown}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const limit = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  let answer;
  try {
    answer = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: signal && AbortSignal.any ? AbortSignal.any([signal, limit]) : limit,
      cache: "no-store",
      credentials: "omit",
    });
  } catch (problem) {
    if (signal?.aborted) throw problem;
    throw new ApiError(0, "unreachable", "The gateway cannot be reached.");
  }
  let document_ = null;
  try {
    document_ = await answer.json();
  } catch {
    // No JSON: a proxy may have answered.
  }
  if (answer.ok && document_ !== null) return document_;
  const error = document_?.error;
  throw new ApiError(
    answer.status,
    error?.code ?? "unknown_answer",
    error?.text ?? `The gateway answered ${answer.status} ${answer.statusText}.`.replace(" .", "."),
  );
}

/** What the gateway tells every page: version, whether a token is needed, its ports. */
export async function gatewayConfig() {
  const answer = await fetch("/static/config.json", { cache: "no-store" });
  if (!answer.ok) throw new ApiError(answer.status, "unknown_answer", "The gateway does not answer as expected.");
  return answer.json();
}

/** Where the web socket is: on its own port, or, behind a proxy, at `/ws` under the page's own name. */
export function socketUrl(config) {
  const secure = location.protocol === "https:";
  const port = location.port || (secure ? "443" : "80");
  const scheme = secure ? "wss" : "ws";
  const direct = secure === config.tls && port === String(config.http_port) && config.ws_port;
  return direct ? `${scheme}://${location.hostname}:${config.ws_port}/ws` : `${scheme}://${location.host}/ws`;
}

/**
 * Ask for the token until one is right, or do nothing where none is needed.
 * @param {{token_required: boolean}} config
 * @returns who the caller is, as `/api/me` says it
 */
export async function signIn(config, why = "") {
  let reason = why;
  if (config.token_required && !token.get() && !reason) {
    reason = "This gateway asks for a token.";
  }
  for (;;) {
    if (reason) {
      const given = await askForToken(reason);
      if (!isSendable(given)) {
        reason = "A browser can only send tokens of letters, digits and !#$%&'*+-.^_`|~. Please choose another one.";
        continue;
      }
      token.set(given);
    }
    try {
      return await api("GET", "/me");
    } catch (problem) {
      if (problem.status !== 401) throw problem;
      reason = token.get() ? "That token is not right. Please try again." : "This gateway asks for a token.";
      token.set("");
    }
  }
}

function askForToken(reason) {
  return new Promise((resolve) => {
    const input = el("input", {
      type: "password",
      id: "token-input",
      autocomplete: "current-password",
      required: true,
      spellcheck: false,
      "aria-describedby": "token-reason",
    });
    const dialog = el(
      "dialog",
      { class: "dialog", "aria-labelledby": "token-title" },
      el(
        "form",
        {
          method: "dialog",
          onsubmit(event) {
            event.preventDefault();
            const given = input.value.trim();
            if (!given) return;
            dialog.remove();
            resolve(given);
          },
        },
        el("h2", { id: "token-title" }, "Token"),
        el("p", { id: "token-reason", role: "alert" }, reason),
        el("label", { for: "token-input" }, "Token of this gateway (auth_token)"),
        input,
        el("p", { class: "quiet" }, "Kept in this tab until you close it."),
        el("div", { class: "row end" }, el("button", { type: "submit", class: "primary" }, "Continue")),
      ),
    );
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    document.body.append(dialog);
    dialog.showModal();
    input.focus();
  });
}

// Theme

/** Dark or light, whichever is shown. */
export function shownTheme() {
  const chosen = document.documentElement.dataset.theme;
  if (chosen) return chosen;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

/** Turn to the other theme, and remember it in this browser. */
export function toggleTheme() {
  const theme = shownTheme() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem(THEME, theme);
  } catch {
    // Storage is switched off: it holds until the page is left.
  }
  return theme;
}

// Times

const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const YEAR = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** A Unix time in seconds, as short as it is clear: a time of day, a day, or a day with its year. */
export function timeText(seconds, now = Date.now() / 1000) {
  const then = new Date(seconds * 1000);
  const today = new Date(now * 1000);
  if (then.toDateString() === today.toDateString()) return CLOCK.format(then);
  return (then.getFullYear() === today.getFullYear() ? DAY : YEAR).format(then);
}

/** A Unix time in seconds, in full. */
export function fullTimeText(seconds) {
  return FULL.format(new Date(seconds * 1000));
}

/** A duration in seconds: `0.4 s`, `12 s`, `3 min`, `2.5 h`, `4 d`. */
export function durationText(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${(seconds / 3_600).toFixed(1)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

// Telling people

/** Say it to a screen reader, without showing it. */
export function announce(text) {
  const region = document.getElementById("announcer");
  if (region) region.textContent = text;
}

/**
 * Show a line for a few seconds.
 * @param {string} text
 * @param {{label?: string, action?: function}} options a button in it
 */
export function toast(text, { label, action } = {}) {
  const place = document.getElementById("toasts");
  const line = el("div", { class: "toast", role: "status" }, el("span", {}, text));
  const away = () => line.remove();
  if (action) {
    line.append(
      el("button", {
        type: "button",
        class: "link",
        onclick() {
          away();
          action();
        },
      }, label),
    );
  }
  line.append(iconButton("close", "Dismiss", away));
  let timer = setTimeout(away, TOAST_MS);
  line.addEventListener("focusin", () => clearTimeout(timer));
  line.addEventListener("pointerenter", () => clearTimeout(timer));
  line.addEventListener("pointerleave", () => (timer = setTimeout(away, TOAST_MS)));
  place.replaceChildren(line);
}

/** An id that nobody else makes; also where the page is not a secure context and has no `crypto.randomUUID`. */
export function uniqueId() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Put text on the clipboard, also where the page is not a secure context. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = el("textarea", { class: "off-screen", value: text, "aria-hidden": "true" });
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  }
}
