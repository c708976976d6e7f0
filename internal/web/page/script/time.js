// Times go on: what was 4m ago is 5m ago a minute later. Titles tell the reader's own time beside UTC.
(() => {
  "use strict";
  const asOf = document.querySelector("#as-of time");
  // The server's clock decides what is past: the reader's may be wrong.
  const ahead = asOf ? Date.parse(asOf.dateTime) - Date.now() : 0;

  const two = (a, unitA, b, unitB) => b ? `${a}${unitA} ${b}${unitB}` : `${a}${unitA}`;
  const span = (ms) => {
    const s = Math.max(Math.floor(ms / 1000), 0), m = Math.floor(s / 60), h = Math.floor(m / 60), d = Math.floor(h / 24);
    if (m < 1) return `${s}s`;
    if (h < 1) return `${m}m`;
    return d < 1 ? two(h, "h", m % 60, "m") : two(d, "d", h % 24, "h");
  };
  const relations = {
    ago: (ms) => `${span(ms)} ago`,
    for: span,
    in: (ms) => ms >= 0 ? "now" : `in ${span(-ms)}`,
  };
  const goOn = () => {
    if (document.hidden) return;
    const now = Date.now() + ahead;
    for (const time of document.querySelectorAll("time[data-relation]")) {
      const text = relations[time.dataset.relation](now - Date.parse(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    }
  };

  const local = new Intl.DateTimeFormat(undefined, {
    weekday: "short", year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
  });
  const zone = local.resolvedOptions().timeZone;
  const translate = (root) => {
    if (zone === "UTC") return;
    for (const time of root.querySelectorAll("time[datetime]")) {
      const utc = time.title || time.textContent;
      time.title = `${utc}\n${local.format(Date.parse(time.dateTime))}, your time`;
    }
  };
  translate(document);
  document.addEventListener("fresh", (event) => translate(event.target));
  setInterval(goOn, 1000);
})();
