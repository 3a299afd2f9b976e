"use strict";

// Find a concept by its name or an alias: a combobox, after the pattern of the ARIA authoring practices.

const MOST_FOUND = 8;
let found = []; // Places of concepts.
let chosen = -1;

function findConcepts(text) {
  const wanted = plain(text.trim());
  if (!wanted) return [];
  const hits = [];
  part().concepts.forEach((concept, place) => {
    const names = [concept.name, ...concept.aliases, concept.slug];
    const at = Math.min(...names.map((name) => {
      const where = plain(name).indexOf(wanted);
      return where < 0 ? Infinity : where;
    }));
    if (at < Infinity) hits.push({ place, at, alias: plain(concept.name).includes(wanted) ? "" : concept.aliases.find((name) => plain(name).includes(wanted)) || "" });
  });
  return hits.sort((a, b) => a.at - b.at || a.place - b.place);
}

function closeFound() {
  found = [];
  chosen = -1;
  byId("found").hidden = true;
  byId("search").setAttribute("aria-expanded", "false");
  byId("search").removeAttribute("aria-activedescendant");
}

function mark(place) {
  chosen = place;
  [...byId("found").querySelectorAll("[role=option]")].forEach((item, i) => {
    item.setAttribute("aria-selected", String(i === place));
    if (i === place) item.scrollIntoView({ block: "nearest" });
  });
  if (place >= 0) byId("search").setAttribute("aria-activedescendant", `found-${place}`);
  else byId("search").removeAttribute("aria-activedescendant");
}

function openFound(i) {
  const concept = part().concepts[found[i].place];
  closeFound();
  byId("search").value = "";
  location.hash = linkTo(part(), concept.slug);
}

function showFound() {
  const text = byId("search").value;
  if (!text.trim()) {
    closeFound();
    return;
  }
  const hits = findConcepts(text);
  found = hits.slice(0, MOST_FOUND);
  const items = found.map((hit, i) => {
    const concept = part().concepts[hit.place];
    const item = make("li", { role: "option", id: `found-${i}`, "aria-selected": "false" }, make("span", { text: concept.name }));
    const count = concept.count === null ? "count unknown" : images(concept.count);
    item.append(make("span", { class: "small", text: `${hit.alias ? ` (${hit.alias})` : ""} ${count}` }));
    item.addEventListener("pointerdown", (event) => event.preventDefault());
    item.addEventListener("click", () => openFound(i));
    return item;
  });
  if (!items.length) items.push(make("li", { class: "small", role: "option", "aria-disabled": "true", "aria-selected": "false", text: "No concept has such a name." }));
  else if (hits.length > found.length) items.push(make("li", { class: "small", role: "option", "aria-disabled": "true", "aria-selected": "false", text: `${number(hits.length - found.length)} more: type on.` }));
  byId("found").replaceChildren(...items);
  byId("found").hidden = false;
  byId("search").setAttribute("aria-expanded", "true");
  mark(found.length ? 0 : -1);
}

function startSearch() {
  const box = byId("search");
  box.addEventListener("input", showFound);
  box.addEventListener("blur", closeFound);
  box.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && !found.length) showFound();
    else if (step) mark((chosen + step + found.length) % found.length);
    else if (event.key === "Enter" && chosen >= 0) openFound(chosen);
    else if (event.key === "Escape") {
      if (byId("found").hidden) box.value = "";
      closeFound();
    } else return;
    event.preventDefault();
  });
}
