// Who says when something was, says it in their own time: the form starts with the zone of the browser.
(() => {
  "use strict";
  const zone = document.querySelector("select[data-zone]");
  const at = document.querySelector("input[data-now]");
  if (!zone || !at) return;
  const pad = (n) => String(n).padStart(2, "0");
  // The zone as the form has it, at a moment: summer time is another one.
  const offset = (date) => {
    const minutes = -date.getTimezoneOffset();
    return `${minutes < 0 ? "-" : "+"}${pad(Math.floor(Math.abs(minutes) / 60))}:${pad(Math.abs(minutes) % 60)}`;
  };
  let chosen = false; // by the reader
  zone.addEventListener("change", () => { chosen = true; });
  const follow = () => {
    const date = new Date(at.value);
    if (chosen || Number.isNaN(date.getTime())) return;
    const now = offset(date);
    if ([...zone.options].some((o) => o.value === now)) zone.value = now;
  };
  if (at.value === at.defaultValue) { // the server's now, in UTC
    const date = new Date(`${at.value}Z`);
    if (!Number.isNaN(date.getTime())) {
      at.value = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}T${pad(date.getHours())}:${pad(date.getMinutes())}`;
    }
  }
  follow();
  at.addEventListener("change", follow);
})();
