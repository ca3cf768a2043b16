// The page: hands what is typed to the worker, and shows the answers that come back.

const $ = (id) => document.getElementById(id);
const worker = new Worker(new URL("./reader.js", import.meta.url), { type: "module" });
const MOST_BARS = 5;
const MOST_HELD = 40; // characters of an unfinished word, or of the words of a piece, that are shown

let sent = 0; // the number of the last text
let labels = [];

function ask(message) {
  sent += 1;
  worker.postMessage({ id: sent, ...message });
}

function make(name, className, ...content) {
  const element = document.createElement(name);
  element.className = className;
  element.append(...content);
  return element;
}

const percent = (p) => `${(100 * p).toFixed(1)}\u00a0%`;
const plain = (number) => String(Number(number.toPrecision(6)));
const many = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;

function shorten(text) {
  const cut = [...text].slice(0, MOST_HELD).join("");
  return cut === text ? text : `${cut}…`;
}

/** Shows what is known of the text, or why there is no answer. */
function say(line, isFailed = false) {
  $("facts").textContent = line;
  $("facts").classList.toggle("failed", isFailed);
}

/** A label and its probability, or the number of a model that gives one. */
function describe({ label, probability, number }) {
  if (number !== undefined) return [make("span", "label", plain(number))];
  return [make("bdi", "label", label), " ", make("span", "probability", percent(probability))];
}

const isAnswer = (answer) => answer !== null && (answer.label ?? answer.number) !== undefined;

function makeMeter(p) {
  const meter = make("div", "meter", make("span", ""));
  meter.firstChild.style.width = `${100 * p}%`;
  meter.setAttribute("aria-hidden", "true");
  return meter;
}

function showBars(probs) {
  const order = probs.map((_, i) => i).sort((a, b) => probs[b] - probs[a]);
  // Two labels keep their places; of many, the most probable ones are shown.
  const shown = probs.length <= MOST_BARS ? probs.map((_, i) => i) : order.slice(0, MOST_BARS);
  $("bars").replaceChildren(
    ...shown.map((i) => make("div", "bar", make("bdi", "", labels[i]), makeMeter(probs[i]), make("span", "", percent(probs[i])))),
  );
}

function makePiece({ words: { first, count }, probs, ...answer }) {
  const written = make("bdi", "written", shorten(first.join(" ")));
  const rest = count > first.length ? [make("span", "quiet", ` … ${many(count, "word")}`)] : [];
  const piece = make("div", "piece", make("span", "", written, ...rest));
  piece.append(answer.number === undefined ? makeMeter(probs.length === 2 ? probs[1] : Math.max(...probs)) : make("span", ""));
  piece.append(make("span", "", ...describe(answer)));
  return make("li", "", piece);
}

function showPieces(pieces, count) {
  $("pieces").replaceChildren(...pieces.map(makePiece).reverse());
  $("pieces").start = count;
  $("bar-of").hidden = !count;
  const more = count > pieces.length ? `The last ${pieces.length} of ${count.toLocaleString("en")} pieces.` : "";
  $("more").textContent = count ? more : "No piece yet.";
}

/** Says what waits, and what the answer would be without another piece. */
function showEnd(held, end) {
  const waits = held ? ["Waits for its end: ", make("bdi", "held", `“${shorten(held)}”`), ". "] : [];
  $("end").replaceChildren(...waits, ...(isAnswer(end) ? ["If the text ended here: ", ...describe(end), "."] : []));
}

const handlers = {
  ready(message) {
    ({ labels } = message);
    // Of two labels, the bar of a piece is the second one's, so that it shows which way the answer went.
    $("bar-of").textContent = labels.length === 2 ? `The bars show the probability of ${labels[1]}.` : "";
    document.title = `${message.name}: a text in pieces, the answer so far`;
    if (new URLSearchParams(location.search).has("golden")) worker.postMessage({ kind: "golden" });
    ask({ kind: "text", text: $("text").value });
  },

  answer({ id, isRead, ms, now, end, words, held, count, pieces }) {
    if (id !== sent) return;
    $("answer").replaceChildren(...(isAnswer(now) ? describe(now) : ["No word yet."]));
    showBars(isAnswer(now) ? now.probs : []);
    showEnd(held, end);
    showPieces(pieces, count);
    const time = isRead ? `; answered in ${ms.toFixed(1)} ms` : "; reading …";
    say(`${many(words, "word")} read${time}`);
    if (isRead) Object.assign(document.documentElement.dataset, { answered: id, now: JSON.stringify({ now, end, held, words, count }) });
  },

  opened({ name }) {
    $("text").value = "";
    $("hint").textContent = `A text that you type goes on after the state of ${name}.`;
  },

  state({ text }) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    link.download = "state.json";
    link.click();
    URL.revokeObjectURL(link.href);
  },

  golden({ line }) {
    $("golden").textContent = line;
    $("golden").hidden = false;
  },

  error({ message }) {
    say(`Something failed: ${message}`, true);
  },
};
worker.onmessage = ({ data }) => handlers[data.kind](data);
worker.onerror = (event) => handlers.error({ message: event.message || "the worker could not be started" });

const HINT = $("hint").textContent;

$("text").addEventListener("input", () => ask({ kind: "text", text: $("text").value }));
$("clear").addEventListener("click", () => {
  $("text").value = "";
  $("hint").textContent = HINT;
  ask({ kind: "begin" });
  $("text").focus();
});
$("save").addEventListener("click", () => worker.postMessage({ kind: "save" }));
$("open").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  if (!file) return;
  ask({ kind: "open", name: file.name, text: await file.text() });
  target.value = "";
});
$("file").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  if (!file) return;
  const bytes = new Uint8Array(await file.arrayBuffer());
  $("text").value = "";
  $("hint").textContent = `${file.name}: ${many(bytes.length, "byte")}, read in pieces. A text that you type goes on after them.`;
  ask({ kind: "file", bytes });
  target.value = "";
});
