"use strict";

// The slider under the curve. Its marker is an element above the chart, which is not drawn again while one drags.

const NEIGHBOURS = 1; // Concepts shown on either side of the nearest.
let showStripSoon = null;

function nearestCount(count) {
  let low = 0;
  let high = shown.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (shown[middle].count < count) low = middle + 1;
    else high = middle;
  }
  const near = Math.abs(Math.log1p(shown[low].count) - Math.log1p(Math.max(count, 0)));
  const before = low ? Math.abs(Math.log1p(shown[low - 1].count) - Math.log1p(Math.max(count, 0))) : Infinity;
  return before < near ? low - 1 : low;
}

function moveMarker(x) {
  document.querySelector("#over .marker").style.transform = `translateX(${x}px)`;
  byId("slider").style.transform = `translateX(${x}px)`;
}

function sayPlace() {
  const slider = byId("slider");
  const one = shown[state.at];
  slider.setAttribute("aria-valuemax", String(Math.max(shown.length - 1, 0)));
  slider.setAttribute("aria-valuenow", String(Math.max(state.at, 0)));
  slider.setAttribute("aria-valuetext", one ? `${part().concepts[one.place].name}, ${images(one.count)}, score ${number(one.score, 3)}` : "no concept");
}

const CARDS_KEPT = 24;
const cards = new Map(); // Cards that were shown of late, by what they say: while one drags, most are shown again.

function stripCard(i) {
  const one = shown[i];
  const key = `${state.part} ${state.kind} ${document.readyState} ${one.place}`;
  const card = cards.get(key) || newCard(one);
  cards.delete(key);
  cards.set(key, card);
  if (cards.size > CARDS_KEPT) cards.delete(cards.keys().next().value);
  card.classList.toggle("here", i === state.at);
  return card;
}

function newCard(one) {
  const concept = part().concepts[one.place];
  return make("article", { class: "beside" },
    make("h4", {}, make("a", { href: linkTo(part(), concept.slug), text: concept.name, title: concept.name })),
    make("p", { class: "small", text: `${images(one.count)}, score ${number(one.score, 3)}` }),
    besideEachOther(part(), state.part, one.place, 2));
}

let stripSaid = "";

function showStrip() {
  if (!shown.length) {
    stripSaid = "";
    byId("strip").replaceChildren(make("p", { class: "small", text: "No concept is shown." }));
    return;
  }
  // At the ends the strip still has as many concepts, of which the nearest is marked.
  const most = Math.min(shown.length, 2 * NEIGHBOURS + 1);
  const from = Math.max(0, Math.min(state.at - NEIGHBOURS, shown.length - most));
  const wanted = Array.from({ length: most }, (_, i) => from + i);
  const said = `${state.part} ${state.kind} ${document.readyState} ${state.at} ${wanted.map((i) => shown[i].place)}`;
  if (said === stripSaid) return;
  stripSaid = said;
  const strip = byId("strip");
  const now = wanted.map(stripCard);
  for (const card of [...strip.children]) if (!now.includes(card)) card.remove();
  now.forEach((card, i) => {
    if (strip.children[i] !== card) strip.insertBefore(card, strip.children[i] || null);
  });
}

function goTo(i, x) {
  if (!shown.length) return;
  state.at = Math.max(0, Math.min(i, shown.length - 1));
  moveMarker(x ?? places[state.at][0]);
  sayPlace();
  showStripSoon();
}

// Where the slider is at first: beside the threshold, or in the middle.
function firstPlace() {
  const threshold = estimate()?.threshold;
  return threshold === null || threshold === undefined ? shown.length >> 1 : nearestCount(threshold);
}

function startSlider() {
  const track = byId("track");
  const slider = byId("slider");
  showStripSoon = eachFrame(showStrip);
  let dragged = false;
  let pointer = 0;
  const drag = eachFrame(() => {
    const plot = curve.plot();
    const x = Math.max(plot.left, Math.min(pointer, plot.left + plot.width));
    if (shown.length) goTo(nearestCount(curve.countAt(x)), x);
  });
  const follow = (event) => {
    pointer = event.clientX - track.getBoundingClientRect().left;
    drag();
  };
  track.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    dragged = true;
    track.setPointerCapture(event.pointerId);
    slider.focus({ preventScroll: true });
    follow(event);
    event.preventDefault();
  });
  track.addEventListener("pointermove", (event) => {
    if (dragged) follow(event);
  });
  const stop = () => {
    if (!dragged) return;
    dragged = false;
    requestAnimationFrame(() => goTo(state.at));
  };
  track.addEventListener("pointerup", stop);
  track.addEventListener("pointercancel", stop);
  slider.addEventListener("keydown", (event) => {
    const to = {
      ArrowRight: state.at + 1, ArrowUp: state.at + 1, ArrowLeft: state.at - 1, ArrowDown: state.at - 1,
      PageUp: state.at + 10, PageDown: state.at - 10, Home: 0, End: shown.length - 1,
    }[event.key];
    if (event.key === "Enter" && shown[state.at]) location.hash = linkTo(part(), part().concepts[shown[state.at].place].slug);
    else if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    else goTo(to);
    event.preventDefault();
  });
  let last = "";
  curveWatchers.push(() => {
    const plot = curve.plot();
    const marker = document.querySelector("#over .marker");
    marker.style.top = `${plot.top}px`;
    marker.style.height = `${plot.height}px`;
    track.style.setProperty("--from", `${plot.left}px`);
    track.style.setProperty("--length", `${plot.width}px`);
    marker.hidden = slider.hidden = !shown.length;
    // The concept that was chosen stays, where it is still shown.
    const kept = shown.findIndex((one) => `${state.part} ${one.place}` === last);
    if (!shown.length) showStripSoon();
    else goTo(state.at < 0 || kept < 0 ? firstPlace() : kept);
    if (shown.length) last = `${state.part} ${shown[state.at].place}`;
  });
  const remember = () => {
    if (shown[state.at]) last = `${state.part} ${shown[state.at].place}`;
  };
  for (const kind of ["keyup", "pointerup"]) document.addEventListener(kind, remember);
  // Pictures come after the scripts.
  document.addEventListener("DOMContentLoaded", () => showStripSoon());
}
