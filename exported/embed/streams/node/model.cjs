// The streaming model itself, one class for `import` and for `require`. The state between two chunks is a value, which
// belongs to the caller. onnxruntime is loaded by import() alone, so that bundlers can write this file into an ES
// module as well.
"use strict";

const { WordCutter, toBinary } = require("./words.cjs");

/** The model cannot be read or run, or a state is not one of this model. */
class StreamError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = "StreamError";
  }
}

const SPECIAL_TOKENS = ["<pad>", "<start>", "<unknown>"];
const [START_ID, UNKNOWN_ID] = [1, 2];
const THRESHOLD = 0.5; // with two labels, the probability from which the second one is chosen

async function read(file) {
  const { readFile } = await import("node:fs/promises");
  try {
    return await readFile(file);
  } catch (cause) {
    throw new StreamError(`cannot read ${file.pathname ?? file}: ${cause.message}`, { cause });
  }
}

async function readConfig(file) {
  const bytes = await read(file);
  let config;
  try {
    config = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new StreamError(`${file.pathname ?? file} is not JSON: ${cause.message}`, { cause });
  }
  const isRight = Array.isArray(config?.labels) && config.tokenizer && config.states && config.inputs && config.outputs;
  if (!isRight) throw new StreamError(`${file.pathname ?? file} is not that of a stream`);
  return config;
}

/** The lines of vocabulary.txt, as binary strings. */
async function readVocabulary(file, config) {
  const tokens = toBinary(await read(file)).replace(/\n$/, "").split("\n");
  if (SPECIAL_TOKENS.some((token, i) => tokens[i] !== token) || tokens.length !== config.vocabulary_size) {
    throw new StreamError(`${file.pathname ?? file} is not the vocabulary of this model`);
  }
  return tokens;
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

class StreamModel {
  #ort;
  #session;
  #config;
  #ids;
  #cutter;

  /** For `load`, which makes models. */
  constructor(ort, session, config, tokens) {
    this.#ort = ort;
    this.#session = session;
    this.#config = config;
    this.#ids = new Map(tokens.map((token, i) => [token, i]).slice(SPECIAL_TOKENS.length));
    const longest = tokens.reduce((most, token) => Math.max(most, token.length), 0);
    this.#cutter = new WordCutter(config.tokenizer, config.characters?.runs, longest);
    this.labels = Object.freeze(config.labels);
  }

  static async load(path) {
    const [model, vocabulary, settings] = path === undefined ? StreamModel.files() : await filesOf(path);
    const [bytes, config] = [await read(model), await readConfig(settings)];
    const tokens = await readVocabulary(vocabulary, config);
    process.env.ORT_DISABLE_TELEMETRY ??= "1"; // onnxruntime reads it when it is loaded
    const module = await import("onnxruntime-node");
    const ort = module.default ?? module;
    let session;
    try {
      const options = { intraOpNumThreads: 1 }; // a recurrence only loses by more
      session = await ort.InferenceSession.create(bytes, options);
    } catch (cause) {
      throw new StreamError(`${model.pathname ?? model} is not a whole model: ${cause.message}`, { cause });
    }
    const names = Object.keys(config.states);
    if (names.some((name) => !session.inputNames.includes(`${name}_in`)) || names.length + 1 !== session.inputNames.length) {
      throw new StreamError(`${settings.pathname ?? settings} does not belong to this model`);
    }
    try {
      return new StreamModel(ort, session, config, tokens);
    } catch (cause) {
      throw new StreamError(`${settings.pathname ?? settings}: ${cause.message}`, { cause });
    }
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
    if (!isRight) throw new StreamError("the state is not one of this model");
  }

  async #run(state, ids) {
    const tensors = { [this.#config.inputs[0].name]: new this.#ort.Tensor("int32", Int32Array.from(ids), [1, ids.length]) };
    for (const [name, values] of Object.entries(state.arrays)) {
      tensors[`${name}_in`] = new this.#ort.Tensor("float32", Float32Array.from(values), [1, values.length]);
    }
    let found;
    try {
      found = await this.#session.run(tensors);
    } catch (cause) {
      throw new StreamError(`the model cannot be run: ${cause.message}`, { cause });
    }
    const arrays = Object.keys(state.arrays).map((name) => [name, Array.from(found[`${name}_out`].data)]);
    if (arrays.some(([, values]) => !values.every(Number.isFinite))) {
      throw new StreamError("the state is not finite any more after this chunk");
    }
    return { arrays: Object.fromEntries(arrays), latest: Array.from(found[this.#config.outputs[0].name].data) };
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

  /** The version of onnxruntime. */
  get version() {
    return this.#ort.env.versions.node;
  }
}

async function filesOf(path) {
  const { join } = await import("node:path");
  const { fileURLToPath } = await import("node:url");
  const folder = path instanceof URL ? fileURLToPath(path) : path;
  if (typeof folder !== "string") throw new TypeError("the path of a model is a string or a URL");
  return ["model.stream.onnx", "vocabulary.txt", "config.json"].map((name) => join(folder, name));
}

module.exports = { StreamModel, StreamError };
