"use strict";

// Two parts side by side: scores of the same concepts, and two curves in one view.

function startPairs(place) {
  const comparison = COMPARISONS[Number(place.dataset.pairs)];
  const pairs = comparison.pairs.filter((pair) => pair.scores[0] !== null && pair.scores[1] !== null);
  const chart = new Chart(place, "pairs", (width) => width);
  const [low, high] = span(pairs.flatMap((pair) => pair.scores));
  chart.draw({
    pairs: pairs.map((pair) => ({ first: pair.scores[0], second: pair.scores[1] })),
    same: [{ first: low, second: low }, { first: high, second: high }],
  }, { score_domain: [low, high] });
  const tip = make("div", { class: "tip", hidden: true });
  place.parentElement.append(tip);
  const near = (event) => {
    const box = place.getBoundingClientRect();
    let best = null;
    let least = 24 ** 2;
    for (const pair of pairs) {
      const [x, y] = [chart.at("x", pair.scores[0]), chart.at("y", pair.scores[1])];
      const away = (event.clientX - box.left - x) ** 2 + (event.clientY - box.top - y) ** 2;
      if (away < least) [best, least] = [{ pair, x, y }, away];
    }
    return best;
  };
  place.addEventListener("pointermove", (event) => {
    const best = chart.width ? near(event) : null;
    tip.hidden = !best;
    if (!best) return;
    const { pair, x, y } = best;
    tip.replaceChildren(make("b", { text: pair.name }),
      document.createTextNode(`scores ${number(pair.scores[0], 3)} and ${number(pair.scores[1], 3)}; images ${number(pair.counts[0])} and ${number(pair.counts[1])}`));
    tip.style.left = `${Math.max(0, Math.min(x + 14, place.clientWidth - tip.offsetWidth))}px`;
    tip.style.top = `${y + 14}px`;
  });
  place.addEventListener("pointerleave", () => { tip.hidden = true; });
  place.addEventListener("click", (event) => {
    const best = chart.width ? near(event) : null;
    const wanted = PARTS.find((one) => one.name === comparison.first) || PARTS.find((one) => one.name === comparison.second);
    if (best && wanted) location.hash = `#concept=${wanted.name}/${best.pair.slug}`;
  });
}

function startTwo() {
  const chart = new Chart(byId("two-chart"), "two", (width) => (width < 560 ? 320 : 400));
  const draw = () => {
    const chosenParts = ["first", "second"].map((which) => {
      const place = Number(byId(which).value);
      const shownPart = partOf(place);
      const { threshold, interval: ends } = shownPart.answer;
      byId(`${which}-words`).textContent = `${PARTS[place].name}: ${threshold === null ? "no threshold" : `threshold ${number(threshold)}`}`;
      return {
        concepts: rowsOf(shownPart, shownPart.scores[0]?.name).map((one) => ({ ...one, part: which })),
        lines: lineOf(threshold, ends).map((line) => ({ ...line, part: which })),
      };
    });
    const concepts = chosenParts.flatMap((one) => one.concepts);
    const drawn = chosenParts.flatMap((one) => one.lines);
    const domain = countDomain([...concepts.map((one) => one.high), ...drawn.map((line) => line.high)]);
    chart.draw({ concepts, lines: drawn },
      { count_domain: domain, ticks: ticksTo(domain[1]), faint: faintness(concepts.length), score_domain: span(concepts.flatMap((one) => [one.bottom, one.top])) });
  };
  for (const which of ["first", "second"]) byId(which).addEventListener("change", draw);
  draw();
}

function startBeside() {
  for (const place of document.querySelectorAll("[data-pairs]")) whenSeen(place, () => startPairs(place));
  if (byId("two-chart")) whenSeen(byId("two-chart"), startTwo);
}
