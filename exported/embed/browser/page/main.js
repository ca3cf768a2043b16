// The page: hands what is typed or dropped to the worker, and shows what comes back.

const $ = (id) => document.getElementById(id);
const percent = (p) => `${(100 * p).toFixed(1)}\u00a0%`;
const worker = new Worker(new URL("./reader.js", import.meta.url), { type: "module" });

// Only for a model that was trained on reviews of films in English.
const EXAMPLE =
  "A quiet start, and a cast that I wanted to like. Then the script runs out of ideas and the second act is dull. " +
  "But stay for the ending: it is superb, and it makes up for all the rest.";
const MOST_BARS = 8; // of more labels than these, the most probable ones have a bar
const MOST_SHOWN = 100_000; // characters in the text field; a browser's own field is slow beyond

let labels = [];
let sent = 0; // the number of the last text
let sentAt = 0;
let way = null;

/** Asks about a text: a string, or a file's bytes. */
function ask(text) {
  sent += 1;
  sentAt = performance.now();
  worker.postMessage({ kind: "text", id: sent, text });
}

const handlers = {
  ready(message) {
    labels = message.labels;
    $("bars").replaceChildren(...labels.slice(0, MOST_BARS).map((_, i) => makeBar(i)));
    document.title = `${message.name}: text in, probability out`;
    if (new URLSearchParams(location.search).has("golden")) worker.postMessage({ kind: "golden" });
    if (!$("text").value && message.dataset === "imdb") $("text").value = EXAMPLE;
    ask($("text").value);
  },

  answer({ id, probs, words, ms }) {
    if (id !== sent) return;
    const best = probs.indexOf(Math.max(...probs));
    $("label").textContent = labels[best];
    $("probability").textContent = percent(probs[best]);
    showBars(probs);
    const shown = performance.now() - sentAt;
    $("answer").classList.remove("failed");
    const read = words ? `${words.toLocaleString("en")} word${words === 1 ? "" : "s"}` : "No word yet: this is the answer to an empty text";
    $("facts").textContent = `${read}; answered in ${shown.toFixed(0)} ms (model ${ms.toFixed(1)} ms)`;
    if (labels.length > MOST_BARS) $("facts").textContent += `; the ${MOST_BARS} most probable of ${labels.length} labels`;
    Object.assign(document.documentElement.dataset, { answered: id, ms: shown.toFixed(1), probs: JSON.stringify(probs) });
    if (!words) showWay(null);
  },

  way(message) {
    if (message.id !== sent) return;
    showWay(message.points.length ? message : null);
    document.documentElement.dataset.way = message.id;
  },

  golden({ line }) {
    $("golden").textContent = line;
    $("golden").hidden = false;
  },

  error({ message }) {
    $("answer").classList.add("failed");
    $("label").textContent = "Something failed:";
    $("probability").textContent = message;
    $("facts").textContent = "";
    showWay(null);
  },
};
worker.onmessage = ({ data }) => handlers[data.kind](data);
worker.onerror = (event) => handlers.error({ message: event.message || "the worker could not be started" });

function makeBar(i) {
  const bar = document.createElement("div");
  bar.className = "bar";
  const name = document.createElement("bdi");
  name.id = `bar-${i}`;
  const meter = document.createElement("div");
  meter.className = "meter";
  meter.append(document.createElement("span"));
  for (const [key, value] of Object.entries({ role: "meter", "aria-labelledby": name.id, "aria-valuemin": 0, "aria-valuemax": 1 })) {
    meter.setAttribute(key, value);
  }
  const number = document.createElement("span");
  number.ariaHidden = "true"; // the meter says it
  bar.append(name, meter, number);
  return bar;
}

function showBars(probs) {
  const order = probs.map((_, i) => i);
  if (labels.length > MOST_BARS) order.sort((a, b) => probs[b] - probs[a]);
  for (const [row, bar] of [...$("bars").children].entries()) {
    const [name, meter, number] = bar.children;
    const i = order[row];
    name.textContent = name.title = labels[i]; // a long one is cut off
    meter.ariaValueNow = probs[i];
    number.textContent = meter.ariaValueText = percent(probs[i]);
    meter.firstChild.style.width = `${100 * probs[i]}%`;
  }
}

/** Draws the probability of one label after each word: of the second of two, else of the one that was chosen. */
function showWay(message) {
  $("way").hidden = !message;
  way = null;
  if (!message) return;
  const { points, before } = message;
  const last = points.at(-1).probs;
  const label = labels.length === 2 ? 1 : last.indexOf(Math.max(...last));
  const values = points.map(({ probs }) => probs[label]);
  const moves = values.map((value, i) => value - (i ? values[i - 1] : before[label]));
  way = { points, values, moves, label };
  $("way-title").textContent = `How the probability of “${isolate(labels[label])}” moved`;
  $("line").setAttribute("points", values.map((value, i) => `${x(i)},${152 - 144 * value}`).join(" "));
  $("position").max = points.length - 1;
  $("position").value = points.length - 1;
  showMovers();
  showWords();
  showPosition();
}

const x = (i) => (way.values.length > 1 ? (600 * i) / (way.values.length - 1) : 300);

/** Marks a word so that one from right to left does not turn the line around it. */
const isolate = (text) => (/[^\0-\x7f]/.test(text) ? `\u2068${text}\u2069` : text);

function describe(i) {
  const { points, values, moves } = way;
  const points100 = (100 * Math.abs(moves[i])).toFixed(1);
  return `“${isolate(points[i].word)}” ${moves[i] < 0 ? "down" : "up"} ${points100} to ${percent(values[i])}`;
}

function showPosition() {
  const i = Number($("position").value);
  const text = `Word ${(way.points[i].index + 1).toLocaleString("en")}: ${describe(i)}`;
  $("position").setAttribute("aria-valuetext", text);
  $("position-text").textContent = text;
  for (const end of ["x1", "x2"]) $("cursor").setAttribute(end, x(i));
  $("words").querySelector(".here")?.classList.remove("here");
  $("words").querySelectorAll("mark")[i]?.classList.add("here");
}

function showMovers() {
  const order = way.moves.map((_, i) => i).sort((a, b) => Math.abs(way.moves[b]) - Math.abs(way.moves[a]));
  $("movers").replaceChildren(
    ...order.slice(0, 5).map((i) => {
      const item = document.createElement("li");
      item.textContent = describe(i);
      return item;
    }),
  );
}

function showWords() {
  const nodes = way.points.flatMap(({ word, between }, i) => {
    const mark = document.createElement("mark");
    mark.textContent = word;
    const strength = Math.min(1, Math.abs(way.moves[i]) * 4) * 0.6;
    mark.style.background = `rgba(var(--${way.moves[i] < 0 ? "down" : "up"}), ${strength.toFixed(2)})`;
    return [between, mark];
  });
  $("words").replaceChildren(...nodes);
}

async function openFile(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const text = new TextDecoder().decode(bytes.subarray(0, MOST_SHOWN));
  $("text").value = bytes.length > MOST_SHOWN ? `${text}…` : text;
  $("hint").textContent = `${file.name}: ${bytes.length.toLocaleString("en")} bytes, read as a whole.`;
  ask(bytes);
}

$("text").addEventListener("input", () => {
  $("hint").textContent = "Type, paste, or drop a text file anywhere on the page.";
  ask($("text").value);
});
$("clear").addEventListener("click", () => {
  $("text").value = "";
  $("text").dispatchEvent(new Event("input"));
  $("text").focus();
});
$("file").addEventListener("change", ({ target }) => target.files[0] && openFile(target.files[0]));
$("position").addEventListener("input", () => {
  if (!way) return;
  showPosition();
  const [words, here] = [$("words"), $("words").querySelector(".here")];
  words.scrollTop = here.offsetTop - words.clientHeight / 2; // the page itself does not move
});

const carriesFile = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragover", (event) => {
  if (!carriesFile(event)) return;
  event.preventDefault();
  document.body.classList.add("dragging");
});
addEventListener("dragleave", (event) => !event.relatedTarget && document.body.classList.remove("dragging"));
addEventListener("drop", (event) => {
  document.body.classList.remove("dragging");
  if (!event.dataTransfer?.files[0]) return;
  event.preventDefault();
  openFile(event.dataTransfer.files[0]);
});
