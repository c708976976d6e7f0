// One key judges, skips or goes back: never while somebody types, never together with a modifier, and once for each press.
(() => {
  "use strict";
  const judge = document.querySelector("#judge");
  if (!judge) return;
  const stored = "judge-keys";
  let on = true;
  try { on = localStorage.getItem(stored) !== "off"; } catch { /* not to be kept here */ }

  // A key that somebody presses twice by mistake must not judge what they have not seen.
  const shown = performance.now(), unseen = 300;
  let gone = false;

  document.addEventListener("keydown", (event) => {
    if (!on || gone || event.repeat || event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const key = CSS.escape(event.shiftKey ? event.key : event.key.toLowerCase());
    const act = judge.querySelector(`[data-keys~="${key}"]`);
    if (!act) return;
    event.preventDefault();
    if (act.matches("textarea")) {
      act.focus();
    } else if (act.matches("summary")) {
      act.click();
      act.focus();
    } else if (act.matches("input")) {
      act.click();
    } else if (performance.now() - shown > unseen) {
      gone = true;
      if (act.matches("a")) act.click();
      else act.form.requestSubmit(act);
    }
  });
  window.addEventListener("pageshow", () => { gone = false; });

  const keys = document.querySelector("#keys");
  const button = document.createElement("button");
  button.type = "button";
  const show = () => { button.textContent = on ? "Turn single keys off" : "Turn single keys on"; };
  button.addEventListener("click", () => {
    on = !on;
    try { localStorage.setItem(stored, on ? "on" : "off"); } catch { /* for this page only */ }
    show();
  });
  show();
  keys?.append(button);
})();
