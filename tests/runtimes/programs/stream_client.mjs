// A client of a stream that is written from its card alone, for the tokenizer rule `bytes`: reads the golden texts in
// chunks of several sizes, and prints as JSON how many it read, how many had other ids, and the largest difference.
//
//   node stream_client.mjs BUNDLE

import { readFileSync } from "node:fs";
import ort from "onnxruntime-node";

const bundle = process.argv[2];
const read = (name) => readFileSync(`${bundle}/${name}`);
const { tokenizer } = JSON.parse(read("config.json"));
const session = await ort.InferenceSession.create(`${bundle}/model.stream.onnx`);
const lines = read("vocabulary.txt").toString("latin1").split("\n");
const vocabulary = new Map(lines.map((line, i) => [line, i]));

const UNFINISHED = /[A-Za-z0-9'\x80-\xff]*(?:<(?:b(?:r(?: \/?)?)?)?)?$/;

class Stream {
  held = "";
  ids = [];
  answer = null;
  // Zeros at first.
  states = Object.fromEntries(
    session.inputMetadata
      .filter(({ name }) => name.endsWith("_in"))
      .map(({ name, shape }) => [name, new ort.Tensor("float32", new Float32Array(shape[1]), [1, shape[1]])]),
  );

  /** Reads a chunk of bytes. A word that may go on, or the beginning of `<br />`, is kept for the next one. */
  async feed(bytes, isLast = false) {
    const given = this.held + bytes.toString("latin1");
    const text = tokenizer.strip_breaks ? given.replaceAll("<br />", " ") : given;
    this.held = isLast ? "" : UNFINISHED.exec(text)[0];
    const words = text.slice(0, text.length - this.held.length).match(/[A-Za-z0-9'\x80-\xff]+/g) ?? [];
    const lowered = words.map((word) => word.replace(/[A-Z]/g, (c) => c.toLowerCase()));
    const ids = lowered.map((word) => vocabulary.get(word) ?? 2);
    if (!this.ids.length && (ids.length || isLast)) ids.unshift(1); // the text begins
    this.ids.push(...ids);
    if (!ids.length) return; // no position: the states stay as they are
    const found = await session.run({ ids: new ort.Tensor("int32", Int32Array.from(ids), [1, ids.length]), ...this.states });
    this.answer = found.probs.data[0];
    for (const name of Object.keys(this.states)) this.states[name] = found[name.replace(/_in$/, "_out")];
  }
}

const seen = { texts: 0, wrong: 0, difference: 0 };
for (const row of JSON.parse(read("golden.json")).filter(({ ids }) => ids.length < tokenizer.max_length)) {
  const text = Buffer.from(row.bytes, "hex");
  for (const size of [1, 5, 1000]) {
    const stream = new Stream();
    for (let at = 0; at < text.length; at += size) {
      await stream.feed(text.subarray(at, at + size));
      await stream.feed(Buffer.alloc(0));
    }
    await stream.feed(Buffer.alloc(0), true);
    seen.texts += 1;
    seen.wrong += String(stream.ids) === String(row.ids) ? 0 : 1;
    seen.difference = Math.max(seen.difference, Math.abs(stream.answer - row.probs[0]));
  }
}
console.log(JSON.stringify(seen));
