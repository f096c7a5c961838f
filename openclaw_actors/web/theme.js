// Loaded before the first paint, and on its own: a page must not flash in the wrong colours.
(function () {
  "use strict";
  let chosen = null;
  try {
    chosen = localStorage.getItem("openclaw.theme");
  } catch {
    // Storage is switched off: the system's theme it is.
  }
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
})();
