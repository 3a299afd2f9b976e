"use strict";

// Small things that the other files use. Text from the study only ever becomes text: nothing here parses markup.

const byId = (id) => document.getElementById(id);

function make(tag, properties, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

const parsed = new Map();

// What the JSON element `id` holds, read once; null where there is none (yet: pictures follow the scripts).
function dataOf(id, keep = true) {
  if (parsed.has(id)) return parsed.get(id);
  const element = byId(id);
  if (!element) return null;
  const found = JSON.parse(element.textContent);
  if (keep) parsed.set(id, found);
  return found;
}

const PARTS = dataOf("parts") || [];
const COMPARISONS = dataOf("comparisons") || [];
const partOf = (place) => dataOf(`part-${place}`);

function number(value, digits) {
  if (value === null || value === undefined) return "none";
  const places = digits ?? (Math.abs(value) < 10 && !Number.isInteger(value) ? 1 : 0);
  return value.toLocaleString("en", { minimumFractionDigits: places, maximumFractionDigits: places });
}

const numberOf = (count, noun) => `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
const images = (count) => numberOf(count, "image");

const interval = (ends, digits) => (ends ? `${number(ends[0], digits)} to ${number(ends[1], digits)}` : "none");

// With a capital letter, unless it begins with a name such as sd1.4, and a full stop.
function sentence(text) {
  const trimmed = text.trim().replace(/(\d) %/g, "$1\u00a0%"); // a line does not end before the sign
  const begun = /^\p{Ll}+(?=[\s,;:]|$)/u.test(trimmed) ? trimmed.charAt(0).toUpperCase() + trimmed.slice(1) : trimmed;
  return !begun || /[.!?:]$/.test(begun) ? begun : `${begun}.`;
}

// Letters without their accents, so that a search finds them as they are typed.
const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();

function saveAs(name, parts, type) {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  const link = make("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

const fileName = (text) => text.replace(/[^A-Za-z0-9._-]+/g, "-");

const FIGURES = { svg: "image/svg+xml", pdf: "application/pdf" };

// A figure lies in the page compressed.
async function saveFigure(id, kind, name) {
  const figure = dataOf(id, false);
  if (!figure) return;
  const packed = new Blob([Uint8Array.from(atob(figure[kind]), (sign) => sign.charCodeAt(0))]);
  const data = await new Response(packed.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
  saveAs(`${name}.${kind}`, [data], FIGURES[kind]);
}

const linkTo = (part, slug) => `#concept=${part.model}/${part.domain}/${slug}`;

// At most once a frame.
function eachFrame(action) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      action();
    });
  };
}

// Colours: as the system, or as the reader chose.
const THEMES = { auto: "Auto", light: "Light", dark: "Dark" };
const watchers = [];
const onColours = (action) => watchers.push(action);

function stored(name, value) {
  try {
    if (value === undefined) return localStorage.getItem(name);
    localStorage.setItem(name, value);
  } catch {
    // A browser may keep nothing for a file; then the choice lasts as long as the page.
  }
  return null;
}

function setTheme(name) {
  if (name === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  const button = byId("theme");
  button.textContent = THEMES[name];
  button.dataset.choice = name;
  button.setAttribute("aria-label", `Colours: ${name === "auto" ? "as the system" : name}`);
  for (const action of watchers) action();
}

byId("theme").addEventListener("click", () => {
  const names = Object.keys(THEMES);
  const next = names[(names.indexOf(byId("theme").dataset.choice) + 1) % names.length];
  setTheme(next);
  stored("fit-colours", next);
});
setTheme(Object.hasOwn(THEMES, stored("fit-colours") || "") ? stored("fit-colours") : "auto");
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const action of watchers) action();
});
