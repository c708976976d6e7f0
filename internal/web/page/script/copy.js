// What is there to be copied has a button that does it.
(() => {
  "use strict";
  const offer = (root) => {
    for (const block of root.querySelectorAll("pre.copy")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copies";
      button.textContent = "Copy";
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(block.textContent);
          button.textContent = "Copied";
        } catch { // no clipboard, as over plain http off this machine: the reader's own keys will do
          getSelection().selectAllChildren(block);
          button.textContent = "Selected";
        }
        setTimeout(() => { button.textContent = "Copy"; }, 2000);
      });
      block.before(button);
    }
  };
  document.addEventListener("DOMContentLoaded", () => offer(document)); // when the others have seen the page as it came
  document.addEventListener("fresh", (event) => offer(event.target));
})();
