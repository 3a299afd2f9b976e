"use strict";

// A concept's page: #concept=model/domain/slug.

const STEPS = { "references": "References", "training images": "Training images", "generated pictures": "Generated pictures", "prompts": "Prompts" };

function wantedConcept() {
  if (!location.hash.startsWith("#concept=")) return null;
  let text = location.hash.slice("#concept=".length);
  try {
    text = decodeURIComponent(text);
  } catch {
    // Not encoded: it is taken as it is.
  }
  const place = PARTS.findIndex((one) => text.startsWith(`${one.name}/`));
  const slug = place < 0 ? "" : text.slice(PARTS[place].name.length + 1);
  const at = place < 0 ? -1 : partOf(place).concepts.findIndex((concept) => concept.slug === slug);
  return { text, place, at };
}

const fact = (label, value, words) => make("div", {}, make("dt", { text: label, "data-terms": true }),
  make("dd", {}, make("b", { text: value }), words ? make("span", { class: "small", text: ` ${words}` }) : null));

function countsOf(concept) {
  const unknown = (value) => (value === null ? "unknown" : number(value));
  const facts = [
    fact("captions that mention it", unknown(concept.captions)),
    fact("images downloaded", unknown(concept.downloaded)),
    fact("images matched", unknown(concept.matches)),
    fact("effective count", unknown(concept.count), concept.count_interval ? `95 % interval: ${interval(concept.count_interval)}` : ""),
  ];
  if (concept.corrected_count !== null) {
    facts.push(fact("without the recogniser's errors", number(concept.corrected_count), concept.corrected_interval ? `interval: ${interval(concept.corrected_interval)}` : ""));
  }
  return make("section", { class: "plain" }, make("h3", { text: "Counts" }), make("dl", { class: "facts" }, facts),
    concept.names.length ? make("h3", { text: "Captions by name" }) : null,
    concept.names.length ? make("dl", { class: "facts" }, concept.names.map((one) => fact(one.name, number(one.captions)))) : null);
}

function scoresOf(shownPart, concept) {
  const kinds = shownPart.scores.map((kind) => fact(kind.label, number(concept.scores[kind.name], 3)));
  const known = shownPart.concepts.flatMap((one) => one.prompts.map((prompt) => prompt.scores.score || 0));
  const top = known.reduce((most, score) => Math.max(most, score), 0.0001);
  const rows = concept.prompts.map((prompt) => {
    const score = prompt.scores.score;
    const bar = make("span", {});
    bar.style.width = `${Math.max(0, Math.min(100, (100 * (score || 0)) / top))}%`;
    return make("tr", {}, make("th", { scope: "row", text: prompt.prompt || "unknown" }),
      make("td", { class: "n", text: number(score, 3) }), make("td", { class: "bar-cell", "aria-hidden": "true" }, bar),
      make("td", { class: "n", text: number(prompt.images) }), make("td", { class: "n", text: number(prompt.targets) }));
  });
  const head = ["Prompt", "Score", "", "Pictures", "Targets"].map((text, i) => make(text ? "th" : "td", { scope: text ? "col" : null, text, class: i && text ? "n" : null }));
  return make("section", { class: "plain" }, make("h3", { text: "Scores" }), make("dl", { class: "facts" }, kinds),
    make("h3", { text: "Score per prompt" }),
    rows.length
      ? make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Score per prompt" },
        make("table", { class: "data" }, make("thead", {}, make("tr", {}, head)), make("tbody", {}, rows)))
      : make("p", { class: "small", text: "It was not scored at any prompt." }));
}

function picturesSection(shownPart, place, at) {
  const concept = shownPart.concepts[at];
  const set = picturesOf(place, at);
  const section = make("section", { class: "plain", id: "concept-pictures" });
  for (const id of ["pictures-left-out", "pictures-thinned"]) {
    if (byId(id)) section.append(make("p", { class: "note", text: byId(id).textContent }));
  }
  if (set === null) {
    section.append(make("p", { class: "small", text: "Its pictures are still being read." }));
    document.addEventListener("DOMContentLoaded", () => section.replaceWith(picturesSection(shownPart, place, at)), { once: true });
    return section;
  }
  if (!set.pictures.length) {
    section.append(make("h3", { text: "Pictures" }), make("p", { class: "small", text: "This page has no pictures of it." }));
    return section;
  }
  const references = ofRole(set, "reference");
  const generated = ofRole(set, "generated");
  const targets = ofRole(set, "target");
  section.append(make("h3", { text: "References" }));
  section.append(references.length
    ? make("div", { class: "reference-row" }, references.map((picture, i) => thumbnail(set, picture, `Reference of ${concept.name}, ${i + 1} of ${references.length}`)))
    : make("p", { class: "small", text: "The page has none." }));
  section.append(make("h3", { text: "Generated pictures, each beside its nearest targets" }));
  if (!generated.length) section.append(make("p", { class: "small", text: "The page has none." }));
  section.append(make("div", { class: "generated" }, generated.map((picture, i) => {
    const near = targets.filter((target) => target.near === picture.id);
    return make("figure", {},
      make("div", { class: "nearest" }, make("div", {}, make("p", { class: "kind", text: "Generated" }), thumbnail(set, picture, `Generated picture of ${concept.name}, ${i + 1} of ${generated.length}`)),
        make("div", {}, make("p", { class: "kind", text: near.length ? "Nearest targets, cosine" : "" }),
          near.length
            ? make("div", { class: near.length > 1 ? "targets many" : "targets" }, near.map((target, j) => make("div", {}, thumbnail(set, target, `Target near it, ${j + 1} of ${near.length}`),
              make("span", { text: target.cosine === null ? "unknown" : number(target.cosine, 3) }))))
            : make("p", { class: "small", text: "The page has no targets of it." }))),
      make("figcaption", { text: picture.prompt ? `Prompt: ${picture.prompt}` : "Its prompt is unknown." }));
  })));
  return section;
}

function excludedOf(concept) {
  return make("section", { class: "plain" }, make("h3", { text: "What was left out, and why" }),
    concept.excluded.length
      ? make("ul", {}, concept.excluded.map((one) => make("li", { text: `${STEPS[one.step]}, ${number(one.number)}: ${one.why}` })))
      : make("p", { class: "small", text: "Nothing was left out." }));
}

function neighbour(shownPart, at, step) {
  const other = shownPart.concepts[at + step];
  if (!other) return null;
  const count = other.count === null ? "" : ` (${number(other.count)})`;
  const text = step < 0 ? `← ${other.name}${count}` : `${other.name}${count} →`;
  return make("a", { class: step < 0 ? "previous" : "next", href: linkTo(shownPart, other.slug), text, rel: step < 0 ? "prev" : "next", "aria-label": `${step < 0 ? "Fewer" : "More"} images: ${other.name}${count}` });
}

function copyLink(input, said) {
  const done = () => { said.textContent = "Copied"; };
  const fall = () => {
    input.select();
    said.textContent = document.execCommand("copy") ? "Copied" : "Press Ctrl+C";
  };
  if (navigator.clipboard) navigator.clipboard.writeText(input.value).then(done, fall);
  else fall();
}

function conceptPage(place, at) {
  const shownPart = partOf(place);
  const concept = shownPart.concepts[at];
  const link = make("input", { type: "text", readonly: true, value: location.href, "aria-label": "Link to this concept" });
  const copy = make("button", { type: "button", class: "quiet", text: "Copy link" });
  copy.addEventListener("click", () => copyLink(link, copy));
  const about = [`${shownPart.model} / ${shownPart.domain}`];
  if (concept.group) about.push(`group: ${concept.group}`);
  if (concept.aliases.length) about.push(`also: ${concept.aliases.join(", ")}`);
  const verdict = concept.verdict;
  return [
    make("div", { class: "steps" }, make("a", { href: "#curve", id: "to-curve", text: "↑ The curve" }), neighbour(shownPart, at, -1), neighbour(shownPart, at, 1)),
    make("h1", { id: "concept-title", tabindex: "-1", text: concept.name }),
    make("p", { class: "small", text: about.join(" · ") }),
    make("div", { class: `verdict ${verdict ? verdict.verdict : "unknown"}` },
      make("p", {}, make("b", { text: verdict ? `Verdict: ${verdict.verdict}. ` : "No verdict. " }), make("span", { "data-terms": true, text: verdict ? sentence(verdict.words) : "The study was not audited." }))),
    concept.outlier ? make("p", { class: "note", text: `An outlier, ${concept.outlier.side} the threshold: ${concept.outlier.causes.length ? sentence(concept.outlier.causes.join("; ")) : "nothing that was measured explains it."}` }) : null,
    make("div", { class: "link" }, link, copy),
    make("div", { class: "columns" }, countsOf(concept), scoresOf(shownPart, concept)),
    picturesSection(shownPart, place, at),
    excludedOf(concept),
  ].filter(Boolean);
}

function unknownConcept(text) {
  return [
    make("div", { class: "steps" }, make("a", { href: "#curve", text: "↑ The curve" })),
    make("h1", { id: "concept-title", tabindex: "-1", text: "No such concept" }),
    make("p", { text: `This study has no concept ${text}. A link has the form #concept=model/domain/slug.` }),
  ];
}
