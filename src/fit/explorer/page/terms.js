"use strict";

// Words of the glossary: where one first occurs in a view, it is a button that opens its meaning.

const GLOSSARY = new Map((dataOf("glossary") || []).map((entry) => [entry.term.toLowerCase(), entry]));
const asPattern = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
const TERM = GLOSSARY.size
  ? new RegExp(`(?<![\\p{L}\\p{N}_-])(${[...GLOSSARY.keys()].sort((a, b) => b.length - a.length).map(asPattern).join("|")})(s|es)?(?![\\p{L}\\p{N}_-])`, "giu")
  : null;

function openWord(button, entry) {
  const word = byId("word");
  word.replaceChildren(make("b", { text: entry.term }), document.createTextNode(entry.words));
  word.setAttribute("aria-label", entry.term);
  word.togglePopover(true);
  word.focus({ preventScroll: true });
  const at = button.getBoundingClientRect();
  const room = document.documentElement.clientWidth - word.offsetWidth - 12;
  const below = at.bottom + 8 + word.offsetHeight < window.innerHeight;
  word.style.left = `${Math.max(12, Math.min(at.left, room))}px`;
  word.style.top = `${below ? at.bottom + 8 : Math.max(8, at.top - 8 - word.offsetHeight)}px`;
}

// Replace the first occurrences of terms in the text of `element` by buttons; `seen` holds those of the view so far.
function explain(element, seen) {
  if (!TERM) return;
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const nodes = [];
  while (walker.nextNode()) nodes.push(walker.currentNode);
  for (const node of nodes) {
    const text = node.data;
    const pieces = [];
    let end = 0;
    for (const match of text.matchAll(TERM)) {
      const key = match[1].toLowerCase();
      if (seen.has(key)) continue;
      seen.add(key);
      const entry = GLOSSARY.get(key);
      const button = make("button", { type: "button", class: "term", text: match[0], "aria-haspopup": "dialog" });
      button.addEventListener("click", () => openWord(button, entry));
      pieces.push(text.slice(end, match.index), button);
      end = match.index + match[0].length;
    }
    if (pieces.length) node.replaceWith(...pieces, text.slice(end));
  }
}

function explainAll(root) {
  const seen = new Set();
  for (const element of root.querySelectorAll("[data-terms]")) explain(element, seen);
}

byId("word").setAttribute("role", "dialog");
window.addEventListener("scroll", () => {
  if (byId("word").matches(":popover-open")) byId("word").hidePopover();
}, { passive: true });
