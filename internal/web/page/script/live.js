// The page keeps itself up to date: it is fetched again, and what has changed takes the place of what was there. What somebody is at,
// typing into or about to press, stays as it is.
(() => {
  "use strict";
  const main = document.querySelector("main[data-every]");
  if (!main) return;
  const every = Number(main.dataset.every) * 1000;
  const still = 3000; // nothing moves under a pointer that has moved within so many milliseconds

  // What an element was like when it came, without what is different every time.
  const came = new WeakMap();
  const likeness = (e) => e.outerHTML.replace(/name="token" value="[^"]*"/g, "").replace(/(<time[^>]*data-relation[^>]*>)[^<]*/g, "$1");
  // Of a live element the children are exchanged one by one, known by their ids; one that is live as a whole is exchanged itself.
  const live = (e) => e.getAttribute("data-live") === "";
  const remember = (e) => {
    if (!live(e)) came.set(e, likeness(e));
    else for (const child of e.children) remember(child);
  };

  // Whether somebody is at it.
  const held = (e) => {
    const active = document.activeElement, selected = getSelection();
    return active !== document.body && e.contains(active) || !selected.isCollapsed && selected.containsNode(e, true) ||
      e.matches("[aria-busy]") || e.querySelector("[aria-busy]") !== null ||
      [...e.querySelectorAll("input, textarea")].some((field) => field.value !== field.defaultValue || field.checked !== field.defaultChecked);
  };

  const take = (e) => {
    const taken = document.importNode(e, true);
    remember(taken);
    return taken;
  };
  const tell = (e) => e.dispatchEvent(new Event("fresh", { bubbles: true }));

  // update makes e what next is, and returns what stands in its place.
  const update = (e, next) => {
    if (live(e) && live(next)) {
      arrange(e, [...next.children]);
      return e;
    }
    if (came.get(e) === likeness(next) || held(e)) return e;
    if (e.getAttribute("role") === "status") { // one that is replaced is not read out
      came.set(e, likeness(next));
      if (e.textContent !== next.textContent) e.textContent = next.textContent;
      return e;
    }
    const taken = take(next);
    e.replaceWith(taken);
    tell(taken);
    return taken;
  };

  // arrange gives parent the children that next lists, known by their ids. The one that has the focus is never moved: it
  // would lose it.
  const arrange = (parent, next) => {
    const known = new Map([...parent.children].map((e) => [e.id, e]));
    const wanted = next.map((e) => known.has(e.id) ? update(known.get(e.id), e) : take(e));
    for (const e of [...parent.children]) if (!wanted.includes(e) && !held(e)) e.remove();
    let at = parent.firstElementChild;
    for (const e of wanted) {
      while (at && at !== e && !wanted.includes(at)) at = at.nextElementSibling; // held, though it is gone
      if (at === e) {
        at = at.nextElementSibling;
      } else if (e.contains(document.activeElement)) {
        while (at !== e) {
          const passed = at;
          at = at.nextElementSibling;
          parent.append(passed);
        }
        at = at.nextElementSibling;
      } else {
        const isNew = !e.parentNode;
        parent.insertBefore(e, at);
        if (isNew) tell(e);
      }
    }
  };

  const areas = () => [...document.querySelectorAll("[data-live]")].filter((e) => !e.parentElement.closest("[data-live]"));
  areas().forEach(remember);

  let last = performance.now(), moved = -still, paused = false, timer;
  main.addEventListener("pointermove", () => { moved = performance.now(); });

  let lost; // the banner that says that the page is old
  const say = (text) => {
    if (!text) {
      lost?.remove();
      lost = undefined;
    } else if (!lost) {
      lost = document.createElement("p");
      lost.className = "banner";
      lost.setAttribute("role", "alert");
      lost.textContent = text;
      main.prepend(lost);
    }
  };

  const refresh = async () => {
    let page;
    try {
      const answer = await fetch(location.href, { cache: "no-store", signal: AbortSignal.timeout(20000) });
      page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (!answer.ok || !page.querySelector("main[data-every]")) throw new Error(answer.statusText);
    } catch {
      const since = document.querySelector("#as-of time");
      say(`This page could not be brought up to date: it shows what was true at ${since.textContent}. It is tried again.`);
      return;
    }
    say("");
    if (paused) return;
    for (const area of areas()) {
      const next = page.getElementById(area.id);
      if (next) update(area, next);
    }
    document.title = page.title;
    last = performance.now();
  };

  let asking = false;
  const tick = async () => {
    clearTimeout(timer);
    if (document.hidden || paused || asking) return;
    const now = performance.now();
    const wait = Math.max(last + every - now, moved + still - now);
    if (wait <= 0) {
      asking = true;
      await refresh();
      asking = false;
    }
    clearTimeout(timer);
    timer = setTimeout(tick, wait > 0 ? wait : every);
  };
  document.addEventListener("visibilitychange", tick);
  tick();

  // Who does not want that stops it.
  const foot = document.querySelector("#updating");
  if (foot) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Pause";
    const text = document.createTextNode("");
    const show = () => {
      text.data = paused ? "Not updated. " : `Updated every ${every / 1000} s. `;
      button.textContent = paused ? "Go on" : "Pause";
    };
    button.addEventListener("click", () => {
      paused = !paused;
      show();
      tick();
    });
    show();
    foot.replaceChildren(text, button);
  }
})();
