"use strict";

// What the address asks for, and the order in which things begin: the answers are there before any of this runs.

let shownAddress = null; // Of the view that is shown: what follows # in the address.
let readTo = 0; // How far the overview was read.

function showView(focus = true) {
  const wanted = wantedConcept();
  const overview = byId("overview");
  const page = byId("concept");
  if (wanted) {
    if (!overview.hidden) readTo = window.scrollY;
    overview.hidden = true;
    page.hidden = false;
    if (wanted.at >= 0 && curve && state.part !== wanted.place) choosePart(wanted.place);
    page.replaceChildren(...(wanted.at >= 0 ? conceptPage(wanted.place, wanted.at) : unknownConcept(wanted.text)));
    explainAll(page);
    document.title = byId("concept-title").textContent;
    window.scrollTo(0, 0);
    if (focus) byId("concept-title").focus({ preventScroll: true });
  } else {
    const fromConcept = overview.hidden;
    overview.hidden = false;
    page.hidden = true;
    page.replaceChildren();
    document.title = pageTitle;
    const target = location.hash.length > 1 ? byId(location.hash.slice(1)) : null;
    if (fromConcept && (!target || target.id === "curve") && readTo) window.scrollTo(0, readTo);
    else if (fromConcept && target) target.scrollIntoView();
    if (fromConcept && focus) (byId("curve-title") || byId("answer-title")).focus({ preventScroll: true });
  }
  shownAddress = location.hash;
}

const pageTitle = document.title;

window.addEventListener("hashchange", () => {
  if (location.hash !== shownAddress) showView();
});

explainAll(byId("overview"));
startTrust();
if (PARTS.length) {
  choosePart(0, false);
  const wanted = wantedConcept();
  if (wanted && wanted.at >= 0) choosePart(wanted.place, false);
  startSearch();
  startSlider();
  // The answers are painted first.
  requestAnimationFrame(() => setTimeout(startCurve));
} else showTrust(0);
startBeside();
showView(false);
document.documentElement.classList.add("moving");
