"use strict";

// Charts are Vega's; their descriptions come from Python. Here they get data, size and colours.

const CHARTS = dataOf("charts") || {};
const LEAST = -0.45; // Where an axis of counts begins; 0 has a place.

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return { ink: of("--ink"), soft: of("--soft"), grid: of("--line"), paper: of("--paper"), accent: of("--mark"), dot: of("--dot") };
}

function ticksTo(largest) {
  const found = [0];
  for (let tick = 1; tick <= Math.max(largest, 1); tick *= 10) found.push(tick);
  return found;
}

// 1, 2, 3, 5, 10 ... between two counts.
function ticksBetween([low, high]) {
  const found = low <= 0 ? [0] : [];
  for (let power = 1; power <= high; power *= 10) {
    for (const tick of [power, 2 * power, 3 * power, 5 * power]) if (tick >= low && tick <= high) found.push(tick);
  }
  return found;
}

function thresholdDomain(counts) {
  const low = counts.reduce((least, count) => Math.min(least, count), Infinity);
  return [low < 2 ? LEAST : low / 2, countDomain(counts)[1] * 1.6];
}

function countDomain(counts) {
  const largest = counts.reduce((most, count) => Math.max(most, count), 0);
  return [LEAST, (largest || 10) * 1.25 + 1];
}

function span(values) {
  const low = values.reduce((a, b) => Math.min(a, b), Infinity);
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  if (low > high) return [0, 1];
  const room = 0.06 * (high - low || Math.abs(high) || 1);
  return [low - room, high + room];
}

class Chart {
  // `place`: the element; `name`: of the description; `height`: of the width in pixels.
  constructor(place, name, height) {
    this.place = place;
    this.height = height;
    this.queue = vegaEmbed(place, CHARTS[name], { mode: "vega", actions: false, renderer: "svg", tooltip: false, hover: false, defaultStyle: false })
      .then((result) => {
        this.view = result.view;
        place.querySelector("svg")?.setAttribute("aria-hidden", "true");
        onColours(() => this.draw({}, {}));
        this.width = 0;
        new ResizeObserver(eachFrame(() => {
          if (place.clientWidth && place.clientWidth !== this.width) this.draw({}, {});
        })).observe(place);
      });
    this.drawn = () => {};
  }

  // Fill data sets and parameters, and draw; whoever draws meanwhile waits.
  draw(data, signals) {
    this.queue = this.queue.then(async () => {
      const { view, place } = this;
      for (const [name, rows] of Object.entries(data)) view.data(name, rows);
      for (const [name, value] of Object.entries({ ...colours(), ...signals })) view.signal(name, value);
      if (place.clientWidth) {
        this.width = place.clientWidth;
        view.width(this.width).height(this.height(this.width));
      }
      await view.runAsync();
      this.drawn();
    });
    return this.queue;
  }

  // Where the plot begins, in pixels of the element.
  origin() {
    const { left, top } = this.view.padding();
    const [x, y] = this.view.origin();
    return [x + left, y + top];
  }

  // Where a value is, in pixels of the element.
  at(name, value) {
    return this.view.scale(name)(value) + this.origin()[name === "x" ? 0 : 1];
  }

  countAt(pixels) {
    return this.view.scale("x").invert(pixels - this.origin()[0]);
  }

  // The plot without its axes: left, top, width, height.
  plot() {
    const [left, top] = this.origin();
    const [x0, x1] = this.view.scale("x").range();
    const [y0, y1] = this.view.scale("y").range();
    return { left: left + x0, top: top + y1, width: x1 - x0, height: y0 - y1 };
  }
}

// Concepts that have a count and a score of a kind, as the chart takes them.
function rowsOf(part, kind) {
  const rows = [];
  part.concepts.forEach((concept, place) => {
    const score = concept.scores[kind];
    if (concept.count === null || score === null || score === undefined) return;
    const prompts = concept.prompts.map((prompt) => prompt.scores[kind]).filter((value) => value !== null && value !== undefined);
    const [low, high] = concept.count_interval || [concept.count, concept.count];
    rows.push({
      place,
      count: concept.count,
      score,
      low,
      high,
      bottom: Math.min(score, ...prompts),
      top: Math.max(score, ...prompts),
      mark: concept.outlier ? "outlier" : "concept",
    });
  });
  return rows;
}

// Lines of many concepts are fainter, so that the marks stay in front.
const MANY = 150;
const faintness = (rows) => (rows > MANY ? 0.16 : 0.3);

function lineOf(threshold, ends, line = "threshold") {
  if (threshold === null || threshold === undefined) return [];
  const [low, high] = ends || [threshold, threshold];
  return [{ threshold, low, high, line }];
}

// Do something once: when an element is about to be seen, or before the page is printed.
function whenSeen(element, action) {
  const once = () => {
    observer.disconnect();
    removeEventListener("beforeprint", once);
    action();
  };
  const observer = new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) once();
  }, { rootMargin: "300px" });
  observer.observe(element);
  addEventListener("beforeprint", once);
}
