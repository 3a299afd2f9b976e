"use strict";

const SMALL_PIXELS = 128; // Narrower pictures are shown pixel by pixel.
const part = (id) => document.getElementById(id);
const answers = [...document.querySelectorAll("[data-answer]")];

let rater = "";
let pairs = []; // In this rater's own order: {picture, references, answer, name}.
let at = 0; // Which of them is shown; pairs.length stands for the end.
let ready = false; // Whether its pictures can be seen, so that nobody rates what did not load.
let storing = false;
const loaded = new Map(); // Key of a picture -> promise of it.

function load(key) {
  if (!loaded.has(key)) {
    const picture = new Image();
    picture.src = `pictures/${key}`;
    const done = picture.decode().then(() => {
      picture.className = picture.naturalWidth < SMALL_PIXELS ? "small" : "";
      return picture;
    });
    done.catch(() => loaded.delete(key)); // So that it is asked for again.
    loaded.set(key, done);
  }
  return loaded.get(key);
}

const keysOf = (pair) => [pair.picture, ...pair.references];

function say(trouble) {
  part("trouble").textContent = trouble;
}

function show(id) {
  for (const each of ["welcome", "rating", "end"]) part(each).hidden = each !== id;
  part("leave").hidden = id === "welcome";
}

function tally() {
  const skipped = pairs.filter((pair) => pair.answer === "skip").length;
  const rated = pairs.filter((pair) => pair.answer !== null).length - skipped;
  return { rated, skipped, text: `${rated} rated, ${skipped} skipped` };
}

// Not `disabled`, which would take the focus away from whoever has just pressed the button.
function enable(button, enabled) {
  button.setAttribute("aria-disabled", String(!enabled));
}

function update() {
  const pair = pairs[at];
  for (const button of answers) {
    enable(button, !storing && (ready || button.dataset.answer === "skip"));
    button.setAttribute("aria-pressed", String(String(pair.answer) === button.dataset.answer));
  }
  enable(part("back"), !storing && at > 0);
  enable(part("forward"), !storing && pair.answer !== null);
}

async function go(to) {
  at = Math.max(0, Math.min(to, pairs.length));
  const done = tally();
  if (at === pairs.length) {
    part("tally").textContent = `${done.text}, of ${pairs.length}.`;
    show("end");
    part("end").querySelector("h1").focus();
    return;
  }
  const pair = pairs[at];
  show("rating");
  part("progress").textContent = `Picture ${at + 1} of ${pairs.length}: ${done.text}`;
  part("bar").max = pairs.length;
  part("bar").value = done.rated + done.skipped;
  part("name").textContent = pair.name ? `: ${pair.name}` : "";
  part("generated").replaceChildren();
  part("references").replaceChildren();
  ready = false;
  update();
  let pictures = [];
  try {
    pictures = await Promise.all(keysOf(pair).map(load));
  } catch {
    if (pairs[at] === pair) say("These pictures can't be shown. Skip them, or load the page again.");
    return;
  }
  if (pairs[at] !== pair) return; // The rater has gone on meanwhile.
  pictures[0].alt = "The picture to rate";
  part("generated").replaceChildren(pictures[0]);
  pictures.slice(1).forEach((picture, i) => { picture.alt = `One to compare with, ${i + 1} of ${pair.references.length}`; });
  part("references").replaceChildren(...pictures.slice(1));
  ready = true;
  update();
  if (at + 1 < pairs.length) keysOf(pairs[at + 1]).forEach((key) => load(key).catch(() => {}));
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server can't be reached.");
  }
  const said = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(said.error || `The server answered ${response.status}.`);
  return said;
}

async function answer(value) {
  if (storing || at === pairs.length || (value !== "skip" && !ready)) return;
  storing = true;
  update();
  try {
    await ask("answers", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ rater, picture: pairs[at].picture, answer: value }),
    });
  } catch (error) {
    storing = false;
    update();
    say(`Not stored: ${error.message} Try again.`);
    return;
  }
  storing = false;
  pairs[at].answer = value;
  say("");
  go(at + 1);
}

function move(step) {
  if (storing || (step > 0 && (at === pairs.length || pairs[at].answer === null))) return;
  say("");
  go(at + step);
}

async function start(name) {
  let session;
  try {
    session = await ask(`session?rater=${encodeURIComponent(name)}`);
  } catch (error) {
    show("welcome");
    say(error.message);
    return;
  }
  ({ rater, pairs } = session);
  sessionStorage.setItem("rater", rater);
  part("question").textContent = session.question;
  part("who").textContent = `Rating as ${rater}.`;
  say("");
  const open = pairs.findIndex((pair) => pair.answer === null);
  go(open < 0 ? pairs.length : open);
  if (open >= 0) part("question").focus();
}

part("welcome").addEventListener("submit", (event) => {
  event.preventDefault();
  start(part("rater").value);
});
for (const button of answers) {
  const value = button.dataset.answer;
  button.addEventListener("click", () => answer(value === "skip" ? value : Number(value)));
}
part("back").addEventListener("click", () => move(-1));
part("forward").addEventListener("click", () => move(1));
part("again").addEventListener("click", () => move(-1));
part("other").addEventListener("click", () => {
  sessionStorage.removeItem("rater");
  location.reload();
});

document.addEventListener("keydown", (event) => {
  // Held keys do not rate, and the browser keeps its own combinations.
  if (!part("welcome").hidden || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (/^[1-5]$/.test(event.key)) answer(Number(event.key));
  else if (event.key === "s" || event.key === "S") answer("skip");
  else if (event.key === "Backspace" || event.key === "ArrowLeft") move(-1);
  else if (event.key === "ArrowRight") move(1);
  else return;
  event.preventDefault();
});

const before = sessionStorage.getItem("rater");
if (before) start(before);
else part("rater").focus();
