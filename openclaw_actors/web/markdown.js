// Turns Markdown into elements that can be shown safely, whoever wrote it.
// marked renders, DOMPurify lets through what stands in these lists and nothing else.

import { Marked } from "./vendor/marked.esm.js";
import "./vendor/purify.min.js";

import { copyText, el, iconButton } from "./common.js";

const TAGS = [
  "a", "b", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "li", "ol", "p",
  "pre", "s", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul",
];
const RULES = {
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: ["align", "href", "start", "title"],
  ALLOWED_URI_REGEXP: /^(?:https?|mailto):/i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  KEEP_CONTENT: true,
  RETURN_DOM_FRAGMENT: true,
};
const COPIED_MS = 1_500;

const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escaped = (text) => text.replace(/[&<>"]/g, (character) => escapes[character]);

const marked = new Marked({
  gfm: true,
  breaks: true,
  async: false,
  renderer: {
    // What looks like markup is text that somebody wrote.
    html: ({ text }) => escaped(text),
    // A picture would tell its server who reads what: it becomes a link.
    image: ({ href, text }) => `<a href="${escaped(href)}">${escaped(text || href)}</a>`,
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

const purifier = globalThis.DOMPurify;

/**
 * @param {string} text Markdown
 * @returns {DocumentFragment}
 */
export function rendered(text) {
  let fragment;
  try {
    fragment = purifier.sanitize(marked.parse(text), RULES);
  } catch {
    // Something that the parser cannot bear is shown as it is.
    fragment = document.createDocumentFragment();
    fragment.append(el("p", { class: "plain" }, text));
  }
  for (const link of fragment.querySelectorAll("a")) {
    if (!link.hasAttribute("href")) {
      link.replaceWith(...link.childNodes);
      continue;
    }
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
  for (const table of fragment.querySelectorAll("table")) {
    const frame = el("div", { class: "table-frame", role: "region", "aria-label": "Table", tabIndex: 0 });
    table.replaceWith(frame);
    frame.append(table);
  }
  for (const block of fragment.querySelectorAll("pre")) frameCode(block);
  return fragment;
}

function frameCode(block) {
  const button = iconButton("copy", "Copy code", async () => {
    const done = await copyText(block.textContent);
    relabel(done ? "Copied" : "Could not be copied");
    setTimeout(() => relabel("Copy code"), COPIED_MS);
  });
  const relabel = (label) => {
    button.title = label;
    button.setAttribute("aria-label", label);
  };
  const frame = el("div", { class: "code-frame" });
  block.replaceWith(frame);
  block.tabIndex = 0; // who has only a keyboard scrolls it
  frame.append(block, button);
}
