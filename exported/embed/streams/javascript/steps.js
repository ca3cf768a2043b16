// What a step of a stream does: cuts a chunk into words, looks up their ids, runs the network, and describes the answer.
// The packages for Node and for the browser share this file; they read the files of the model and load onnxruntime. The
// state between two chunks is a value, which belongs to the caller.

import { WordCutter, toBinary } from "./words.js";

const SPECIAL_TOKENS = ["<pad>", "<start>", "<unknown>"];
const [START_ID, UNKNOWN_ID] = [1, 2];
const THRESHOLD = 0.5; // with two labels, the probability from which the second one is chosen

/** Whether a config.json has all that a stream needs. */
const isConfig = (config) =>
  Array.isArray(config?.labels) && Boolean(config.tokenizer && config.states && config.inputs && config.outputs);

/** The lines of vocabulary.txt, as binary strings; undefined if it is not the vocabulary of this model. */
function readTokens(bytes, config) {
  const tokens = toBinary(bytes).replace(/\n$/, "").split("\n");
  const isRight = SPECIAL_TOKENS.every((token, i) => tokens[i] === token) && tokens.length === config.vocabulary_size;
  return isRight ? tokens : undefined;
}

function toBytes(chunk) {
  if (typeof chunk === "string") return new TextEncoder().encode(chunk);
  if (chunk instanceof Uint8Array) return chunk;
  throw new TypeError("a chunk is a string or a Uint8Array");
}

const toHex = (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");

const fromHex = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));

function decode(word) {
  const bytes = Uint8Array.from(word, (character) => character.charCodeAt(0));
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

class Steps {
  #ort;
  #session;
  #config;
  #ids;
  #cutter;
  #StreamError;
  #running = Promise.resolve();

  /** Takes onnxruntime, a session, the parts of the model, and the class of the package's errors. */
  constructor(ort, session, config, tokens, StreamError) {
    this.#ort = ort;
    this.#session = session;
    this.#config = config;
    this.#ids = new Map(tokens.map((token, i) => [token, i]).slice(SPECIAL_TOKENS.length));
    const longest = tokens.reduce((most, token) => Math.max(most, token.length), 0);
    this.#cutter = new WordCutter(config.tokenizer, config.characters?.runs, longest);
    this.#StreamError = StreamError;
    this.labels = Object.freeze([...config.labels]);
  }

  /** Whether the states of a config are those that a session takes. */
  static belong(config, session) {
    const names = Object.keys(config.states);
    return names.every((name) => session.inputNames.includes(`${name}_in`)) && names.length + 1 === session.inputNames.length;
  }

  begin() {
    const arrays = Object.entries(this.#config.states).map(([name, size]) => [name, Array(size).fill(0)]);
    return { arrays: Object.fromEntries(arrays), positions: 0, held: "", latest: [] };
  }

  async step(state, chunk) {
    this.#check(state);
    const [words, held] = this.#cutter.feed(fromHex(state.held), toBytes(chunk));
    return this.#readWords(state, words, toHex(held), state.positions === 0 && words.length > 0);
  }

  async finish(state) {
    this.#check(state);
    return this.#readWords(state, this.#cutter.finish(fromHex(state.held)), "", state.positions === 0);
  }

  async #readWords(state, words, held, hasStart) {
    const ids = words.map((word) => this.#ids.get(word) ?? UNKNOWN_ID);
    if (hasStart && this.#config.tokenizer.start) ids.unshift(START_ID);
    const { arrays, latest } = ids.length ? await this.#run(state, ids) : state;
    const next = { arrays, positions: state.positions + ids.length, held, latest };
    return { state: next, answer: { words: words.map(decode), ...this.#describe(latest) } };
  }

  #check(state) {
    const sizes = Object.entries(this.#config.states);
    const isRight =
      sizes.every(([name, size]) => state?.arrays?.[name]?.length === size) &&
      Object.keys(state.arrays).length === sizes.length &&
      Number.isInteger(state.positions) &&
      typeof state.held === "string" &&
      Array.isArray(state.latest);
    if (!isRight) throw new this.#StreamError("the state is not one of this model");
  }

  async #run(state, ids) {
    const tensors = { [this.#config.inputs[0].name]: new this.#ort.Tensor("int32", Int32Array.from(ids), [1, ids.length]) };
    for (const [name, values] of Object.entries(state.arrays)) {
      tensors[`${name}_in`] = new this.#ort.Tensor("float32", Float32Array.from(values), [1, values.length]);
    }
    let found;
    try {
      found = await this.#inTurn(() => this.#session.run(tensors));
    } catch (cause) {
      throw new this.#StreamError(`the model cannot be run: ${cause?.message ?? cause}`, { cause });
    }
    const arrays = Object.keys(state.arrays).map((name) => [name, Array.from(found[`${name}_out`].data)]);
    if (arrays.some(([, values]) => !values.every(Number.isFinite))) {
      throw new this.#StreamError("the state is not finite any more after this chunk");
    }
    return { arrays: Object.fromEntries(arrays), latest: Array.from(found[this.#config.outputs[0].name].data) };
  }

  /** Runs one after the other: a session of onnxruntime-web cannot run two texts at the same time. */
  #inTurn(act) {
    const done = this.#running.then(act);
    this.#running = done.catch(() => {});
    return done;
  }

  #describe(latest) {
    if (!latest.length) return { probs: [] };
    if (!this.labels.length) return { probs: [], number: latest[0] };
    // Two labels may share an output: the probability of the second.
    const probs = latest.length === 1 ? [1 - latest[0], latest[0]] : latest;
    const best = probs.length === 2 ? Number(probs[1] >= THRESHOLD) : probs.indexOf(Math.max(...probs));
    return { label: this.labels[best], probability: probs[best], probs };
  }

  /** The ids of words, as an answer has them; 2 for an unknown word. */
  toIds(words) {
    return words.map((word) => this.#ids.get(toBinary(new TextEncoder().encode(word))) ?? UNKNOWN_ID);
  }
}

/**
 * Compares with the golden texts, in chunks of 1 and 7 bytes and in one.
 *
 * @returns {Promise<{ isRight: boolean, line: string }>}
 */
async function compareGolden(model, rows) {
  const sizes = [1, 7, 1 << 20];
  const start = performance.now();
  let largest = 0;
  for (const size of sizes) {
    for (const [i, row] of rows.entries()) {
      const text = fromHex(row.bytes);
      const words = [];
      let [state, answer] = [model.begin()];
      for (let at = 0; at < text.length; at += size) {
        ({ state, answer } = await model.step(state, text.subarray(at, at + size)));
        words.push(...answer.words);
      }
      ({ state, answer } = await model.finish(state));
      words.push(...answer.words);
      const ids = row.ids.slice(row.ids.length - words.length);
      const difference = Math.max(...row.outputs.map((p, k) => Math.abs(p - state.latest[k])));
      if (String(model.toIds(words)) !== String(ids) || !(difference <= row.tolerance)) {
        const line = `golden text ${i} in chunks of ${size}: other words, or off by ${difference}`;
        return { isRight: false, line };
      }
      largest = Math.max(largest, difference);
    }
  }
  const count = sizes.length * rows.length;
  const microseconds = ((performance.now() - start) / count) * 1000;
  const line =
    `onnxruntime ${model.version}: ${count} of ${count} right, ` +
    `largest difference ${largest.toPrecision(2)}, ${microseconds.toFixed(0)} us a text`;
  return { isRight: true, line };
}

export { Steps, compareGolden, fromHex, isConfig, readTokens };
