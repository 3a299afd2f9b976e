"use strict";

// What the answer rests on: a part at a time, its charts, and what can be taken away.

function startStrips(place) {
  const strips = partOf(Number(place.dataset.strips)).sensitivity;
  const values = strips.flatMap((strip) => strip.values.filter((value) => value.threshold !== null)
    .map((value) => ({ choice: strip.choice, threshold: value.threshold, used: value.is_used ? "used" : "other", label: value.label })));
  const choices = [...new Set(values.map((value) => value.choice))];
  const spans = choices.map((choice) => {
    const found = values.filter((value) => value.choice === choice).map((value) => value.threshold);
    return { choice, low: Math.min(...found), high: Math.max(...found) };
  });
  const domain = thresholdDomain(values.map((value) => value.threshold));
  new Chart(place, "strips", () => 90 + 38 * choices.length)
    .draw({ values, spans }, { count_domain: domain, ticks: ticksBetween(domain) });
}

const begun = new Set();

function showTrust(place) {
  for (const element of document.querySelectorAll("[data-trust]")) element.hidden = Number(element.dataset.trust) !== place;
  if (byId("trust-part")) byId("trust-part").value = String(place);
  const strips = document.querySelector(`[data-strips="${place}"]`);
  if (!strips || begun.has(place)) return;
  begun.add(place);
  whenSeen(strips, () => startStrips(strips));
}

function startTrust() {
  byId("trust-part")?.addEventListener("change", (event) => showTrust(Number(event.target.value)));
  for (const button of document.querySelectorAll("[data-figure]")) {
    button.addEventListener("click", () => saveFigure(button.dataset.figure, button.dataset.as, fileName(button.dataset.figure.replace(/^figure-/, ""))));
  }
  for (const button of document.querySelectorAll("[data-table]")) {
    button.addEventListener("click", () => saveAs(`${fileName(button.dataset.name)}.csv`, [dataOf(`table-${button.dataset.table}`, false)], "text/csv;charset=utf-8"));
  }
}
