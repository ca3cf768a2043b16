// A client of a tagger that is written from its card alone, for a model with features: prints as JSON how many golden
// words it finds, how many have other ids or another tag, and the largest difference of a probability.
//
//   node tagger_client.mjs BUNDLE

import { readFileSync } from "node:fs";
import ort from "onnxruntime-node";

const bundle = process.argv[2];
const read = (name) => readFileSync(`${bundle}/${name}`);
const { labels } = JSON.parse(read("config.json"));
const session = await ort.InferenceSession.create(`${bundle}/model.onnx`);
const slots = ["SUFFIX1", "SUFFIX2", "SUFFIX3", "SUFFIX4", "PREFIX1", "PREFIX2", "PREFIX3", "SHAPE"];
// No word has the id of one of the first three lines, which are special tokens. Bytes are binary strings.
const lines = read("vocabulary.txt").toString("latin1").split("\n");
const ids = new Map(lines.map((line, i) => [line, i]).slice(3));

const lower = (word) => word.replace(/[A-Z]/g, (c) => c.toLowerCase());

function toShape(word) {
  const kinds = [[/[A-Z]/, "X"], [/[a-z]/, "x"], [/[0-9]/, "d"], [/[\x80-\xff]/, "u"]];
  const shape = word.replace(/[^]/g, (c) => kinds.find(([kind]) => kind.test(c))?.[1] ?? c);
  return shape.replace(/([^])\1\1+/g, "$1$1").slice(0, 8);
}

function toIds(word) {
  const characters = lower(word).match(/[^][\x80-\xbf]*/g);
  const features = slots.map((slot) => {
    const count = Number(slot.at(-1));
    if (slot === "SHAPE") return `${slot}=${toShape(word)}`;
    return `${slot}=${(slot.startsWith("SUFFIX") ? characters.slice(-count) : characters.slice(0, count)).join("")}`;
  });
  return [lower(word), ...features].map((token) => ids.get(token) ?? 2);
}

/** The probabilities of each word of sentences, in one batch that is padded with zeros. */
async function compute(sentences) {
  const time = Math.max(...sentences.map((words) => words.length));
  const own = new Int32Array(sentences.length * time);
  const features = new Int32Array(own.length * slots.length);
  sentences.forEach((words, row) =>
    words.forEach((word, i) => {
      const [first, ...others] = toIds(word);
      own[row * time + i] = first;
      features.set(others, (row * time + i) * slots.length);
    }),
  );
  const { probs } = await session.run({
    ids: new ort.Tensor("int32", own, [sentences.length, time]),
    features: new ort.Tensor("int32", features, [sentences.length, time, slots.length]),
  });
  const at = (place) => Array.from(probs.data.subarray(place * labels.length, (place + 1) * labels.length));
  return sentences.map((words, row) => words.map((_, i) => at(row * time + i)));
}

const golden = JSON.parse(read("golden.json"));
const sentences = golden.map(({ bytes }) => bytes.map((hex) => Buffer.from(hex, "hex").toString("latin1")));
const alone = [];
for (const words of sentences) alone.push((await compute([words]))[0]);
const seen = { words: 0, wrong: 0, difference: 0 };
for (const answers of [alone, await compute(sentences)]) {
  golden.forEach((row, k) =>
    sentences[k].forEach((word, i) => {
      const best = Math.max(...answers[k][i]);
      const isRight =
        String(toIds(word)) === String([row.ids[i], ...row.features[i]]) &&
        labels[answers[k][i].indexOf(best)] === row.tags[i];
      seen.words += 1;
      seen.wrong += isRight ? 0 : 1;
      seen.difference = Math.max(seen.difference, Math.abs(best - row.probabilities[i]));
    }),
  );
}
console.log(JSON.stringify(seen));
