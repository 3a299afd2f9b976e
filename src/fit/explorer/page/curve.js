"use strict";

// The curve: every concept's count and score, its switches, and what is said of a concept under the pointer.

const state = { part: 0, kind: "", estimator: "", penalty: -1, groups: null, at: -1 };
const HEADLINE = "the answer";
let curve = null; // The chart.
let shown = []; // Rows that are drawn, ascending in count.
let places = []; // Their [x, y] in pixels.
const curveWatchers = []; // What follows the curve: the slider, the list.

const part = () => partOf(state.part);
const NO_KIND = { name: "", label: "no score", words: "This part has no scores.", estimates: [], penalties: [] };
const kindOf = () => part().scores.find((kind) => kind.name === state.kind) || part().scores[0] || NO_KIND;
const isFirstKind = () => kindOf() === (part().scores[0] || NO_KIND);

function options(select, entries, chosen) {
  select.replaceChildren(...entries.map(([value, text]) => make("option", { value, text, selected: value === chosen })));
  select.value = chosen;
  select.disabled = entries.length < 2;
}

function estimates() {
  const { answer } = part();
  const found = kindOf().estimates.map((one) => ({ ...one, key: one.estimator }));
  if (!isFirstKind()) return found;
  return [{ key: HEADLINE, label: "the answer above", threshold: answer.threshold, interval: answer.interval, reason: null }, ...found];
}

const estimate = () => estimates().find((one) => one.key === state.estimator) || estimates()[0] || null;

function penaltyUsed() {
  const strip = part().sensitivity.find((one) => one.choice === "penalty");
  const used = strip?.values.find((value) => value.is_used);
  const { penalties } = kindOf();
  const place = penalties.findIndex((one) => used && Number.parseFloat(used.label) === one.penalty);
  return place >= 0 ? place : penalties.reduce((best, one, i) => (Math.abs(one.penalty - 0.9) < Math.abs(penalties[best].penalty - 0.9) ? i : best), 0);
}

function fillSwitches() {
  const { scores } = part();
  options(byId("kind"), scores.map((kind) => [kind.name, kind.label]), state.kind);
  options(byId("estimator"), estimates().map((one) => [one.key, `${one.label}: ${one.threshold === null ? "none" : number(one.threshold)}`]), state.estimator);
  byId("kind-words").textContent = kindOf().words;
  const { penalties } = kindOf();
  byId("penalty-field").hidden = penalties.length < 2;
  const slider = byId("penalty");
  slider.max = String(Math.max(penalties.length - 1, 1));
  slider.value = String(state.penalty >= 0 ? state.penalty : penalties.length ? penaltyUsed() : 0);
  sayPenalty();
}

function sayPenalty() {
  const { penalties } = kindOf();
  const one = penalties[Number(byId("penalty").value)];
  const said = one ? `${one.penalty}: ${one.threshold === null ? "no threshold" : number(one.threshold)}` : "";
  byId("penalty-value").textContent = said;
  byId("penalty").setAttribute("aria-valuetext", said);
  byId("penalty-legend").hidden = state.penalty < 0;
  byId("penalty-words").textContent = one ? `PELT at penalty ${said}` : "";
}

function fillGroups() {
  const names = [...new Set(part().concepts.map((concept) => concept.group))].sort();
  byId("groups").hidden = names.length < 2;
  state.groups = new Set(names);
  byId("group-boxes").replaceChildren(...names.map((name) => {
    const box = make("input", { type: "checkbox", checked: true });
    box.addEventListener("change", () => {
      if (box.checked) state.groups.add(name);
      else state.groups.delete(name);
      drawCurve();
    });
    return make("label", {}, box, make("span", { text: name || "no group" }));
  }));
}

function lines() {
  const one = estimate();
  const found = one ? lineOf(one.threshold, one.interval) : [];
  const penalty = state.penalty >= 0 ? kindOf().penalties[state.penalty] : null;
  return penalty ? [...found, ...lineOf(penalty.threshold, null, "penalty")] : found;
}

function sayCurve(all) {
  const one = estimate();
  byId("line-key").hidden = !one || one.threshold === null;
  const without = part().concepts.length - all;
  const said = [`${number(shown.length)} of ${numberOf(part().concepts.length, "concept")} ${shown.length === 1 ? "is" : "are"} shown`];
  if (without) said.push(`${number(without)} ${without === 1 ? "has" : "have"} no count or no score of this kind`);
  if (shown.length < all) said.push("the threshold is that of all groups");
  byId("curve-said").textContent = `${said.join("; ")}.`;
  if (!one) byId("line-words").textContent = "no estimator was asked for this score";
  else if (one.threshold === null) byId("line-words").textContent = `no threshold (${one.label})${one.reason ? `: ${one.reason}` : ""}`;
  else byId("line-words").textContent = `threshold, ${one.label}: ${number(one.threshold)}${one.interval ? ` (${interval(one.interval)})` : ""}`;
  const name = isFirstKind() ? part().score_label : kindOf().label;
  byId("y-title").textContent = `↑ ${name}`;
  byId("curve-chart").setAttribute("aria-label",
    `${name} of ${numberOf(shown.length, "concept")} against effective counts. ${byId("line-words").textContent}. All concepts are in the list below.`);
}

function drawCurve() {
  const all = rowsOf(part(), kindOf().name);
  shown = all.filter((one) => state.groups.has(part().concepts[one.place].group)).sort((a, b) => a.count - b.count || a.place - b.place);
  const drawn = lines();
  const domain = countDomain([...all.map((one) => one.high), ...drawn.map((line) => line.high)]);
  sayCurve(all.length);
  return curve.draw(
    { concepts: shown, lines: drawn },
    { count_domain: domain, ticks: ticksTo(domain[1]), faint: faintness(shown.length), score_domain: span(all.flatMap((one) => [one.bottom, one.top])) },
  );
}

function measurePlaces() {
  places = shown.map((one) => [curve.at("x", one.count), curve.at("y", one.score)]);
}

function choosePart(place, draw = true) {
  state.part = place;
  state.kind = part().scores[0]?.name || "";
  state.estimator = estimates()[0]?.key || "";
  state.penalty = -1;
  byId("part").value = String(place);
  byId("part").disabled = PARTS.length < 2;
  state.at = -1;
  fillSwitches();
  fillGroups();
  showTrust(place);
  if (draw && curve) drawCurve();
}

// The drawn concept nearest to a point, at most `within` pixels away; -1 for none.
function nearestTo(x, y, within) {
  let best = -1;
  let least = within * within;
  places.forEach(([px, py], i) => {
    const away = (px - x) ** 2 + (py - y) ** 2;
    if (away < least) [best, least] = [i, away];
  });
  return best;
}

function pointerAt(event) {
  const box = byId("curve-chart").getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function showTip(i) {
  const tip = byId("tip");
  tip.hidden = i < 0;
  const ring = document.querySelector("#over .ring");
  ring.hidden = i < 0;
  if (i < 0) return;
  const one = shown[i];
  const concept = part().concepts[one.place];
  tip.replaceChildren(make("b", { text: concept.name }),
    document.createTextNode(`${images(one.count)}, score ${number(one.score, 3)}`));
  const [x, y] = places[i];
  ring.style.transform = `translate(${x}px, ${y}px)`;
  const plot = byId("plot");
  const left = Math.max(0, Math.min(x + 14, plot.clientWidth - tip.offsetWidth));
  tip.style.left = `${left}px`;
  tip.style.top = `${plot.offsetTop + (y > tip.offsetHeight + 20 ? y - tip.offsetHeight - 14 : y + 16)}px`;
}

function startCurve() {
  curve = new Chart(byId("curve-chart"), "curve", (width) => (width < 560 ? 320 : 440));
  curve.drawn = () => {
    measurePlaces();
    showTip(-1);
    for (const action of curveWatchers) action();
    performance.mark("curve-drawn");
  };
  byId("part").addEventListener("change", (event) => choosePart(Number(event.target.value)));
  byId("kind").addEventListener("change", (event) => {
    state.kind = event.target.value;
    const found = estimates();
    state.estimator = (found.find((one) => one.key === state.estimator || one.key === part().answer.estimator) || found[0])?.key || "";
    if (isFirstKind()) state.estimator = HEADLINE;
    state.penalty = -1;
    fillSwitches();
    drawCurve();
  });
  byId("estimator").addEventListener("change", (event) => {
    state.estimator = event.target.value;
    drawCurve();
  });
  byId("penalty").addEventListener("input", () => {
    state.penalty = Number(byId("penalty").value);
    sayPenalty();
    drawCurve();
  });
  const chart = byId("curve-chart");
  chart.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "touch") showTip(nearestTo(...pointerAt(event), 24));
  });
  chart.addEventListener("pointerleave", () => showTip(-1));
  chart.addEventListener("click", (event) => {
    const i = nearestTo(...pointerAt(event), 28);
    if (i >= 0) location.hash = linkTo(part(), part().concepts[shown[i].place].slug);
  });
  for (const kind of ["svg", "pdf"]) {
    byId(`curve-${kind}`).addEventListener("click", () => {
      const { model, domain } = part();
      saveFigure(`figure-curve-${state.part}-${kindOf().name}`, kind, fileName(`curve-${model}-${domain}-${kindOf().name}`));
    });
  }
  for (const button of document.querySelectorAll("[data-part]")) {
    button.addEventListener("click", () => {
      choosePart(Number(button.dataset.part));
      byId("curve").scrollIntoView();
      byId("curve-title").focus({ preventScroll: true });
    });
  }
  curveWatchers.push(fillList);
  byId("all").addEventListener("toggle", fillList);
  return drawCurve();
}

function fillList() {
  if (!byId("all").open) return;
  byId("all-rows").replaceChildren(...part().concepts.map((concept) => make("tr", {},
    make("th", { scope: "row" }, make("a", { href: linkTo(part(), concept.slug), text: concept.name })),
    make("td", { text: concept.group }),
    make("td", { class: "n", text: concept.count === null ? "unknown" : number(concept.count) }),
    make("td", { class: "n", text: number(concept.scores[kindOf().name], 3) }),
    make("td", { text: concept.verdict ? concept.verdict.verdict : "" }))));
}
