// What the search shows of a page is its text: formulas as far as they are plain, and no code.
(function () {
  "use strict";

  const plain = Search.htmlToText;
  Search.htmlToText = (html, anchor) => {
    const page = new DOMParser().parseFromString(html, "text/html");
    page.querySelectorAll("div.cell_input, details.hide, .vl-chart, div.math").forEach((part) => part.remove());
    page.querySelectorAll("span.math").forEach((formula) => {
      const inner = formula.textContent.replace(/^\\\(|\\\)$/g, "");
      formula.replaceWith(/[\\{}^_]/.test(inner) ? "…" : inner);
    });
    return plain(page.documentElement.outerHTML, anchor);
  };
})();
