// The page: hands what is typed to the worker, and shows the words that come back.

const $ = (id) => document.getElementById(id);
const worker = new Worker(new URL("./reader.js", import.meta.url), { type: "module" });

// Only for the tagger that was trained on English.
const EXAMPLE =
  "They didn't see the old station in London. Nobody there tags words by hand!\nDr. Smith paid $3.50 for a 15-year e-mail… why?";
const MOST_SHOWN = 100_000; // characters in the text field; a browser's own field is slow beyond
const MOST_WORDS = 3000; // on the page
const UNSURE = 0.9; // a word whose tag is less probable is marked

let tags = [];
let sent = 0; // the number of the last text
let sentAt = 0;

/** Asks about a text: a string, or a file's bytes. */
function ask(text) {
  sent += 1;
  sentAt = performance.now();
  worker.postMessage({ kind: "text", id: sent, text });
}

const many = (count, what) => `${count.toLocaleString("en")} ${what}${count === 1 ? "" : "s"}`;

/** Shows what is known of the text, or why there is no answer. */
function say(line, isFailed = false) {
  $("facts").textContent = line;
  $("facts").classList.toggle("failed", isFailed);
}

/** The colours of tags are evenly spaced, so that any set of tags has them. */
const hue = (tag) => Math.round((360 * Math.max(0, tags.indexOf(tag))) / tags.length);

function make(name, className, text = "") {
  const element = document.createElement(name);
  element.className = className;
  element.textContent = text;
  return element;
}

function makeWord({ text, tag, probability }) {
  const word = make("span", probability < UNSURE ? "word unsure" : "word");
  word.style.setProperty("--hue", hue(tag));
  const percent = (100 * probability).toFixed(1);
  word.title = `${tag}, ${percent} %`;
  word.append(make("bdi", "written", text), make("span", "tag", tag));
  return word;
}

function showTags(words) {
  const counts = new Map();
  for (const { tag } of words) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  const items = [...counts].sort((a, b) => b[1] - a[1]).map(([tag, count]) => {
    const item = make("li", "count", `${tag} ${count.toLocaleString("en")}`);
    item.style.setProperty("--hue", hue(tag));
    return item;
  });
  $("tags").replaceChildren(...items);
}

function showSentences(sentences) {
  let room = MOST_WORDS;
  const items = [];
  for (const sentence of sentences) {
    if (room <= 0) break;
    const item = make("li", "sentence");
    item.append(...sentence.slice(0, room).map(makeWord));
    items.push(item);
    room -= sentence.length;
  }
  $("sentences").replaceChildren(...items);
}

const handlers = {
  ready(message) {
    tags = message.tags;
    document.title = `${message.name}: text in, tagged words out`;
    if (new URLSearchParams(location.search).has("golden")) worker.postMessage({ kind: "golden" });
    if (!$("text").value && message.name === "pos") $("text").value = EXAMPLE;
    ask($("text").value);
  },

  answer({ id, sentences, ms }) {
    if (id !== sent) return;
    const words = sentences.flat();
    showTags(words);
    showSentences(sentences);
    const shown = performance.now() - sentAt;
    const cut = words.length > MOST_WORDS ? `, the first ${MOST_WORDS.toLocaleString("en")} below` : "";
    const isUnsure = words.some(({ probability }) => probability < UNSURE);
    say(
      words.length
        ? `${many(words.length, "word")} in ${many(sentences.length, "sentence")}${cut}; ` +
            `answered in ${shown.toFixed(0)} ms (model ${ms.toFixed(1)} ms).` +
            (isUnsure ? " A word with a dashed edge has a tag that is less than 90\u00a0% probable." : "")
        : "No word yet.",
    );
    Object.assign(document.documentElement.dataset, { answered: id, words: JSON.stringify(sentences.slice(0, 50)) });
  },

  golden({ line }) {
    $("golden").textContent = line;
    $("golden").hidden = false;
  },

  error({ message }) {
    say(`Something failed: ${message}`, true);
    showTags([]);
    showSentences([]);
  },
};
worker.onmessage = ({ data }) => handlers[data.kind](data);
worker.onerror = (event) => handlers.error({ message: event.message || "the worker could not be started" });

const HINT = $("hint").textContent;

$("text").addEventListener("input", () => {
  $("hint").textContent = HINT;
  ask($("text").value);
});
$("clear").addEventListener("click", () => {
  $("text").value = "";
  $("text").dispatchEvent(new Event("input"));
  $("text").focus();
});
$("file").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  if (!file) return;
  const bytes = new Uint8Array(await file.arrayBuffer());
  const text = new TextDecoder().decode(bytes.subarray(0, MOST_SHOWN));
  $("text").value = bytes.length > MOST_SHOWN ? `${text}…` : text;
  $("hint").textContent = `${file.name}: ${many(bytes.length, "byte")}, read as a whole.`;
  ask(bytes);
});
