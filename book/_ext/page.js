(function () {
  "use strict";

  // A displayed formula is set smaller where there is no room for it, down to a size that can be read.
  const SMALLEST = 0.6;
  function fit() {
    document.querySelectorAll("div.math > mjx-container").forEach((formula) => {
      formula.dataset.size = formula.dataset.size || formula.style.fontSize || "100%";
      formula.style.fontSize = formula.dataset.size;
      const share = formula.clientWidth / formula.scrollWidth;
      if (formula.scrollWidth > formula.clientWidth + 1) {
        formula.style.fontSize = `calc(${formula.dataset.size} * ${Math.max(SMALLEST, 0.99 * share)})`;
      }
    });
  }

  // What is wider than the page scrolls by itself, and then the keyboard must reach it.
  function contain() {
    fit();
    document.querySelectorAll("mjx-container:not([display])").forEach((formula) => {
      const room = formula.closest("p, li, dd, dt, td, div").clientWidth;
      formula.classList.toggle("wide", formula.firstElementChild.getBoundingClientRect().width > room);
    });
    document.querySelectorAll(".cell_output .text_html, pre, div.math, mjx-container").forEach((box) => {
      if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    });
  }

  // On paper a page is light whatever the screen, and its hints are open (book.css leaves solutions out).
  const closed = [];
  let theme = "";
  function toPaper() {
    theme = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light";
    closed.push(...document.querySelectorAll("details.sd-dropdown:not([open])"));
    closed.forEach((hint) => { hint.open = true; });
  }
  function toScreen() {
    document.documentElement.dataset.theme = theme;
    closed.splice(0).forEach((hint) => { hint.open = false; });
  }

  window.addEventListener("beforeprint", toPaper);
  window.addEventListener("afterprint", toScreen);
  window.addEventListener("load", contain);
  window.addEventListener("resize", contain);
  document.addEventListener("toggle", contain, true);
  document.addEventListener("click", () => window.setTimeout(contain, 50));
  const set = window.MathJax && window.MathJax.startup && window.MathJax.startup.promise;
  if (set) set.then(contain);
})();
