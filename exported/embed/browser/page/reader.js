// Runs the model, so that the page never waits: first the answer for the whole text, then the way to it, word by word.
//
// The way is the model's own answer for every beginning of the text, a few beginnings in one batch. What was asked
// before is kept: a word typed at the end costs one beginning more.

import config from "../config.json" with { type: "json" };
import { Classifier } from "../index.js";
import table from "./unicode-14.json" with { type: "json" };
import { choose, makeFinder, readFirst, readLast } from "./words.js";

const MOST_POINTS = 500;
const BATCH = 8;
const MOST_WORD = 60; // characters that are shown of a word
const MOST_BETWEEN = 40; // and of what is between two words

let classifier, findWords, newest;
let known = { bytes: new Uint8Array(), answers: new Map() }; // by the byte where a beginning ends

/** Keeps the answers for the beginnings that two texts share. */
function keepShared(bytes) {
  let shared = 0;
  while (shared < bytes.length && shared < known.bytes.length && bytes[shared] === known.bytes[shared]) shared++;
  const answers = new Map([...known.answers].filter(([end]) => end <= shared));
  known = { bytes, answers };
}

async function answer({ id, text }) {
  newest = id;
  const start = performance.now();
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  const [probs] = await classifier.computeProbs([bytes]);
  const ms = performance.now() - start;
  const { starts, ends } = findWords(bytes);
  postMessage({ kind: "answer", id, probs, words: ends.length, ms });
  keepShared(bytes);
  await follow(id, bytes, starts, ends);
}

/** Answers for the beginnings, until another text comes. */
async function follow(id, bytes, starts, ends) {
  const indices = choose(ends.length, MOST_POINTS);
  // A beginning needs no more than the words that the model reads, if it reads the last ones.
  const { max_length: most, truncation_side: side } = config.tokenizer;
  const from = (i) => (side === "left" && i >= most ? starts[i - most + 1] : 0);
  const missing = indices.filter((i) => !known.answers.has(ends[i]));
  for (let k = 0; k < missing.length; k += BATCH) {
    await new Promise((resolve) => setTimeout(resolve)); // lets the next text in
    if (newest !== id) return;
    const batch = missing.slice(k, k + BATCH);
    const answers = await classifier.computeProbs(batch.map((i) => bytes.subarray(from(i), ends[i])));
    batch.forEach((i, n) => known.answers.set(ends[i], answers[n]));
  }
  if (newest !== id) return;
  const points = indices.map((i, n) => {
    const first = n ? ends[indices[n - 1]] : 0;
    const word = readFirst(bytes.subarray(starts[i], ends[i]), MOST_WORD);
    const between = readLast(bytes.subarray(first, starts[i]), MOST_BETWEEN);
    return { index: i, word, between, probs: known.answers.get(ends[i]) };
  });
  const [before] = await classifier.computeProbs([new Uint8Array()]);
  if (newest === id) postMessage({ kind: "way", id, before, points });
}

/** The bundle's golden vectors, alone and in one batch. */
async function golden() {
  const response = await fetch(new URL("../golden.json", import.meta.url));
  if (!response.ok) throw new Error(`golden.json: ${response.status} ${response.statusText}`);
  const rows = await response.json();
  const texts = rows.map(({ bytes }) => Uint8Array.from(bytes.match(/../g) ?? [], (hex) => parseInt(hex, 16)));
  const alone = [];
  for (const text of texts) alone.push((await classifier.computeProbs([text]))[0]);
  const start = performance.now();
  for (const text of texts) await classifier.computeProbs([text]);
  const microseconds = ((performance.now() - start) / texts.length) * 1000;
  let largest = 0;
  for (const [where, answers] of [["alone", alone], ["in a batch", await classifier.computeProbs(texts)]]) {
    for (const [i, { text_probs: expected, tolerance }] of rows.entries()) {
      const difference = Math.max(...expected.map((p, label) => Math.abs(p - answers[i][label])));
      if (!(difference <= tolerance)) return `golden text ${i} ${where}: off by ${difference}, more than ${tolerance}`;
      largest = Math.max(largest, difference);
    }
  }
  const count = 2 * rows.length;
  return (
    `onnxruntime ${classifier.version}: ${count} of ${count} right, ` +
    `largest difference ${largest.toPrecision(2)}, ${microseconds.toFixed(0)} us a text`
  );
}

async function load() {
  findWords = makeFinder(config.tokenizer, table);
  classifier = await Classifier.load();
  await classifier.computeProbs([new Uint8Array()]); // the first run prepares memory
  postMessage({ kind: "ready", name: config.name, labels: classifier.labels, dataset: config.training?.dataset });
}

/** Answers a message of the page, unless a newer text has come. */
async function read(data) {
  if (data.kind === "golden") postMessage({ kind: "golden", line: await golden() });
  else if (data.id === newest) await answer(data);
}

const fail = (error) => postMessage({ kind: "error", message: String(error?.message ?? error) });
const loaded = load();
let queue = loaded.catch(fail);

onmessage = ({ data }) => {
  newest = data.id ?? newest;
  queue = queue.then(() => loaded).then(() => read(data)).catch(fail);
};
