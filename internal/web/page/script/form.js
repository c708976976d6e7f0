// A form that is on its way says so, and is not sent twice.
(() => {
  "use strict";
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.hasAttribute("aria-busy")) {
      event.preventDefault();
      return;
    }
    form.setAttribute("aria-busy", "true");
    // Later, as the browser would not send what a disabled button says.
    setTimeout(() => {
      for (const button of form.querySelectorAll("button")) button.disabled = true;
      event.submitter?.classList.add("sent");
    });
  });
  // Who comes back finds the page as it was.
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) form.removeAttribute("aria-busy");
    for (const button of document.querySelectorAll("button:disabled:not([hidden])")) {
      button.disabled = false;
      button.classList.remove("sent");
    }
  });
})();
