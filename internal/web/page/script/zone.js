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
  const known = (date) => [...zone.options].some((o) => o.value === offset(date));
  const follow = () => {
    const date = new Date(at.value);
    if (!chosen && known(date)) zone.value = offset(date);
  };
  const now = new Date(`${at.value}Z`); // as the server has it, in UTC
  if (at.value === at.defaultValue && known(now)) {
    at.value = `${now.getFullYear()}-${pad(now.getMonth() + 1)}-${pad(now.getDate())}T${pad(now.getHours())}:${pad(now.getMinutes())}`;
    follow();
  }
  at.addEventListener("change", follow);
})();
