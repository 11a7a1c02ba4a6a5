(function () {
  "use strict";

  // What a link to a term, a theorem, an equation or a figure leads to is shown beside it, when a
  // pointer rests on the link or the keyboard reaches it. Escape takes it away, and so does leaving.
  const REST = 250;  // milliseconds
  const pages = new Map();
  const box = document.createElement("div");
  box.className = "preview";
  box.id = "preview";
  box.setAttribute("role", "tooltip");
  box.hidden = true;
  let link = null;
  let timer = 0;

  async function pageOf(url) {
    if (url.pathname === location.pathname) return document;
    const address = url.origin + url.pathname;
    if (!pages.has(address)) {
      pages.set(address, fetch(address).then((answer) => answer.text())
        .then((text) => new DOMParser().parseFromString(text, "text/html")));
    }
    return pages.get(address);
  }

  // The part that a reader wants to see of what has this id.
  function part(found) {
    if (!found) return null;
    if (found.matches("dt")) return found.nextElementSibling;
    if (found.matches("figure, .figure")) return found.querySelector("figcaption, .caption");
    if (found.matches("div.proof, div.exercise, div.math")) return found;
    return found.querySelector(":scope > div.proof, :scope > figure figcaption");
  }

  function clean(node) {
    const copy = node.cloneNode(true);
    copy.querySelectorAll("[id]").forEach((inner) => inner.removeAttribute("id"));
    copy.removeAttribute("id");
    copy.querySelectorAll(".headerlink, script").forEach((inner) => inner.remove());
    return copy;
  }

  function place() {
    const at = link.getBoundingClientRect();
    const room = document.documentElement.clientWidth;
    const width = Math.min(420, room - 16);
    box.style.width = `${width}px`;
    box.style.left = `${window.scrollX + Math.max(8, Math.min(at.left, room - width - 8))}px`;
    const below = at.bottom + 6 + box.offsetHeight <= window.innerHeight || at.top < box.offsetHeight;
    box.style.top = `${window.scrollY + (below ? at.bottom + 6 : at.top - 6 - box.offsetHeight)}px`;
  }

  function hide() {
    window.clearTimeout(timer);
    if (link) link.removeAttribute("aria-describedby");
    link = null;
    box.hidden = true;
  }

  async function show(anchor) {
    const url = new URL(anchor.href);
    const page = await pageOf(url).catch(() => null);  // a page opened as a file reads no other
    const found = page && part(page.getElementById(decodeURIComponent(url.hash.slice(1))));
    if (!found || link !== anchor) return;
    box.replaceChildren(clean(found));
    box.hidden = false;
    place();
    anchor.setAttribute("aria-describedby", box.id);
    if (page !== document && window.MathJax && window.MathJax.typesetPromise) {
      await window.MathJax.typesetPromise([box]).catch(() => null);
      if (link === anchor) place();
    }
  }

  const linkOf = (event) => event.target.closest && event.target.closest("article a.internal[href*='#']");

  function rest(event) {
    const anchor = linkOf(event);
    if (box.contains(event.target)) return window.clearTimeout(timer);
    if (!anchor) return undefined;
    if (anchor === link) return window.clearTimeout(timer);
    hide();
    link = anchor;
    timer = window.setTimeout(() => show(anchor), event.type === "focusin" ? 0 : REST);
    return undefined;
  }

  function leave(event) {
    if (!link || (linkOf(event) !== link && !box.contains(event.target))) return;
    window.clearTimeout(timer);
    timer = window.setTimeout(hide, REST);
  }

  document.body.appendChild(box);
  document.addEventListener("mouseover", rest);
  document.addEventListener("mouseout", leave);
  document.addEventListener("focusin", rest);
  document.addEventListener("focusout", leave);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
})();
