"use strict";

// Thumbnails lie in the page after the scripts, an element for each concept; they are read when one is shown.

const SMALL_PX = 64; // Narrower pictures are shown pixel by pixel.
const NOTHING = { data: [], pictures: [] };

// The pictures of a concept; null while the page is still being read and they may come.
function picturesOf(partPlace, conceptPlace) {
  const found = dataOf(`pictures-${partPlace}-${conceptPlace}`, false);
  return found || (document.readyState === "loading" ? null : NOTHING);
}

function thumbnail(set, picture, alt) {
  const image = make("img", { alt, width: picture.width || 1, height: picture.height || 1, decoding: "async" });
  if (picture.width && picture.width < SMALL_PX) image.className = "small-picture";
  image.src = `data:image/webp;base64,${set.data[picture.data]}`;
  return image;
}

const ofRole = (set, role) => set.pictures.filter((picture) => picture.role === role);

function row(set, pictures, alt) {
  return make("div", { class: "thumbs" }, pictures.map((picture, place) => thumbnail(set, picture, `${alt}, ${place + 1} of ${pictures.length}`)));
}

// A concept's references beside its generated pictures.
function besideEachOther(part, partPlace, conceptPlace, few) {
  const concept = part.concepts[conceptPlace];
  const set = picturesOf(partPlace, conceptPlace);
  if (set === null) return make("p", { class: "small", text: "Its pictures are still being read." });
  const references = ofRole(set, "reference").slice(0, few);
  const generated = ofRole(set, "generated").slice(0, few * 2);
  if (!references.length && !generated.length) return make("p", { class: "small", text: "This page has no pictures of it." });
  const side = (title, pictures, alt) => make("div", {}, make("p", { class: "kind", text: title }),
    pictures.length ? row(set, pictures, alt) : make("p", { class: "small", text: "none" }));
  return make("div", { class: "two" },
    side("References", references, `Reference of ${concept.name}`),
    side("Generated", generated, `Generated picture of ${concept.name}`));
}
