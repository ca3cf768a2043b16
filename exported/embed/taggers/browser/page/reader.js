// Runs the tagger, so that the page never waits.

import { Tagger } from "../index.js";
import config from "../model/config.json" with { type: "json" };

const fromHex = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));

let newest;
let tagger;

async function answer({ id, text }) {
  const start = performance.now();
  const sentences = await tagger.tag(text);
  postMessage({ kind: "answer", id, sentences, ms: performance.now() - start });
}

/** Compares with the golden vectors: texts, then sentences, each alone and all in one batch. */
async function compare() {
  const response = await fetch(new URL("../model/golden.json", import.meta.url));
  const golden = await response.json();
  for (const [i, { bytes, sentences }] of golden.texts.entries()) {
    const found = JSON.stringify(tagger.split(fromHex(bytes)));
    if (found !== JSON.stringify(sentences)) return `golden text ${i}: other sentences or words`;
  }
  const sentences = golden.sentences.map(({ bytes }) => bytes.map(fromHex));
  const start = performance.now();
  const alone = [];
  for (const sentence of sentences) alone.push((await tagger.compute([sentence]))[0]);
  const microseconds = ((performance.now() - start) / sentences.length) * 1000;
  let [largest, count] = [0, 0];
  for (const [where, answers] of [["alone", alone], ["in a batch", await tagger.compute(sentences)]]) {
    for (const [i, row] of golden.sentences.entries()) {
      const best = answers[i].map((probs) => Math.max(...probs));
      const tags = answers[i].map((probs, k) => tagger.tags[probs.indexOf(best[k])]);
      const ids = row.ids.map((own, k) => [own, ...row.features[k]]);
      const isRight =
        String(tags) === String(row.tags) && String(sentences[i].map((word) => tagger.lookUp(word))) === String(ids);
      const difference = Math.max(...row.probabilities.map((p, k) => Math.abs(p - best[k])));
      if (!isRight || !(difference <= row.tolerance)) {
        return `golden sentence ${i} ${where}: other ids or tags, or off by ${difference}`;
      }
      largest = Math.max(largest, difference);
      count += tags.length;
    }
  }
  return (
    `onnxruntime ${tagger.version}: ${count} of ${count} right, ` +
    `largest difference ${largest.toPrecision(2)}, ${microseconds.toFixed(0)} us a sentence`
  );
}

const fail = (error) => postMessage({ kind: "error", message: String(error?.message ?? error) });

const loaded = Tagger.load().then((model) => {
  tagger = model;
  postMessage({ kind: "ready", name: config.name, tags: tagger.tags });
});
// One after the other: a session runs one text at a time.
let queue = loaded.catch(fail);

onmessage = ({ data }) => {
  if (data.kind === "text") newest = data.id;
  const act = async () => {
    if (data.kind === "golden") postMessage({ kind: "golden", line: await compare() });
    else if (data.id === newest) await answer(data);
  };
  queue = queue.then(() => loaded).then(act).catch(fail);
};
