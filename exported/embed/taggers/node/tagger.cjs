// The tagger itself, one class for `import` and for `require`. onnxruntime is loaded by import() alone, so that bundlers
// can write this file into an ES module as well.
"use strict";

const { BytesRule, toBinary } = require("./bytes-rule.cjs");
const { UnicodeRule } = require("./unicode-rule.cjs");

/** The model cannot be read or run. `cause` is the error of Node or of onnxruntime. */
class TaggerError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = "TaggerError";
  }
}

const SPECIAL_TOKENS = ["<pad>", "<start>", "<unknown>"]; // their ids are 0, 1 and 2, and no word has the id of one
const UNKNOWN_ID = 2;
const FEATURE = /^(?:SUFFIX[1-9]|PREFIX[1-9]|SHAPE)=[^]/;
const MOST_WORDS = 1 << 14; // of a batch, with its padding: a long sentence does not widen the rows of short ones
const MOST_PIECES = 256; // of a batch
const MOST_CACHED = 1 << 16; // most words of a text are few different ones
const TEXTS_AT_ONCE = 1024;

async function read(file) {
  const { readFile } = await import("node:fs/promises");
  try {
    return await readFile(file);
  } catch (cause) {
    throw new TaggerError(`cannot read ${file.pathname ?? file}: ${cause.message}`, { cause });
  }
}

async function readConfig(file) {
  const bytes = await read(file);
  let config;
  try {
    config = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new TaggerError(`${file.pathname ?? file} is not JSON: ${cause.message}`, { cause });
  }
  const isRight = Array.isArray(config?.labels) && Array.isArray(config.words?.features);
  if (!isRight) throw new TaggerError(`${file.pathname ?? file} has no tags and no features`);
  return config;
}

/** The lines of vocabulary.txt, as binary strings. */
async function readVocabulary(file, config) {
  const tokens = toBinary(await read(file)).replace(/\n$/, "").split("\n");
  if (SPECIAL_TOKENS.some((token, i) => tokens[i] !== token) || tokens.length !== config.vocabulary_size) {
    throw new TaggerError(`${file.pathname ?? file} is not the vocabulary of this model`);
  }
  return tokens;
}

/** The rule that a config names. `tokens` are those of the vocabulary, as binary strings. */
function makeRule({ words: { rule = "bytes", joins_hyphens: joinsHyphens = false }, characters }, tokens) {
  if (rule === "bytes") return new BytesRule();
  if (rule !== "unicode-14" || !characters) throw new TaggerError(`this package does not know the rule ${rule}`);
  const words = tokens.slice(SPECIAL_TOKENS.length).filter((token) => !FEATURE.test(token));
  return new UnicodeRule(characters, words, joinsHyphens);
}

function toBytes(text) {
  if (typeof text === "string") return new TextEncoder().encode(text);
  if (text instanceof Uint8Array) return text;
  throw new TypeError("a text is a string or a Uint8Array");
}

/** For a string, where each byte of its UTF-8 is in the string; for bytes, the same places. */
function makeIndex(text, length) {
  if (typeof text !== "string" || text.length === length) return (offset) => offset;
  const places = new Int32Array(length + 1);
  let [offset, place] = [0, 0];
  for (const character of text) {
    places[offset] = place;
    const code = character.codePointAt(0);
    offset += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    place += character.length;
  }
  places[offset] = place;
  return (byte) => places[byte];
}

/** A long sentence in as few pieces as possible, of nearly equal length. */
function cut(words, longest) {
  const count = Math.ceil(words.length / longest);
  const at = (i) => Math.floor((i * words.length) / count);
  return Array.from({ length: count }, (_, i) => words.slice(at(i), at(i + 1)));
}

/** Positions of pieces in batches of similar lengths. */
function toBatches(lengths) {
  const batches = [];
  let batch = [];
  for (const i of lengths.map((_, i) => i).sort((a, b) => lengths[a] - lengths[b])) {
    if (batch.length === MOST_PIECES || (batch.length && (batch.length + 1) * lengths[i] > MOST_WORDS)) {
      batches.push(batch);
      batch = [];
    }
    batch.push(i);
  }
  return batch.length ? [...batches, batch] : batches;
}

const largest = (probs) => probs.reduce((best, p, i) => (p > probs[best] ? i : best), 0);

class Tagger {
  #ort;
  #session;
  #config;
  #ids;
  #rule;
  #cache = new Map();

  /** For `load`, which makes taggers. */
  constructor(ort, session, config, tokens) {
    this.#ort = ort;
    this.#session = session;
    this.#config = config;
    this.#ids = new Map(tokens.map((token, i) => [token, i]).slice(SPECIAL_TOKENS.length));
    this.#rule = makeRule(config, tokens);
    this.tags = Object.freeze(config.labels);
  }

  static async load(path) {
    const [model, vocabulary, settings] = path === undefined ? Tagger.files() : await filesOf(path);
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
      throw new TaggerError(`${model.pathname ?? model} is not a whole model: ${cause.message}`, { cause });
    }
    return new Tagger(ort, session, config, tokens);
  }

  async tag(text) {
    return (await this.tagMany([text]))[0];
  }

  async tagMany(texts) {
    const given = Array.from(texts);
    const answers = [];
    for (let i = 0; i < given.length; i += TEXTS_AT_ONCE) {
      for (const answer of await this.#tagSome(given.slice(i, i + TEXTS_AT_ONCE))) answers.push(answer);
    }
    return answers;
  }

  /** The sentences of a text in bytes: for each word its first byte, and the one after its last. */
  split(bytes) {
    return this.#rule.split(bytes);
  }

  /** The ids of a word in bytes: its own, and those of its features. */
  lookUp(word) {
    const key = toBinary(word);
    let ids = this.#cache.get(key);
    if (ids === undefined) {
      ids = this.#rule.toTokens(word, this.#config.words.features).map((token) => this.#ids.get(token) ?? UNKNOWN_ID);
      if (this.#cache.size === MOST_CACHED) this.#cache.clear();
      this.#cache.set(key, ids);
    }
    return ids;
  }

  /** For each sentence, given as its words in bytes, and each of its words the probability of each tag. */
  async compute(sentences) {
    const pieces = sentences.flatMap((words, i) =>
      cut(words, this.#config.words.max_length).map((piece) => ({ i, piece })),
    );
    const found = new Array(pieces.length);
    for (const batch of toBatches(pieces.map(({ piece }) => piece.length))) {
      const answers = await this.#run(batch.map((k) => pieces[k].piece));
      batch.forEach((k, row) => (found[k] = answers[row]));
    }
    const answers = sentences.map(() => []);
    pieces.forEach(({ i }, k) => found[k].forEach((probs) => answers[i].push(probs)));
    return answers;
  }

  async #tagSome(texts) {
    const rows = texts.map(toBytes);
    const split = rows.map((row) => this.split(row));
    const words = split.flatMap((found, i) =>
      found.map((spans) => spans.map(([start, end]) => rows[i].subarray(start, end))),
    );
    const answers = (await this.compute(words)).values();
    return split.map((found, i) => {
      const toIndex = makeIndex(texts[i], rows[i].length);
      return found.map((spans) => this.#describe(texts[i], spans, answers.next().value, toIndex));
    });
  }

  #describe(text, spans, probs, toIndex) {
    return spans.map(([first, last], i) => {
      const [start, end] = [toIndex(first), toIndex(last)];
      const word = typeof text === "string" ? text.slice(start, end) : decode(text.subarray(start, end));
      const best = largest(probs[i]);
      return { text: word, start, end, tag: this.tags[best], probability: probs[i][best] };
    });
  }

  /** Runs one batch. Rows are padded with zeros. */
  async #run(sentences) {
    const [rows, slots] = [sentences.length, this.#config.words.features.length];
    const time = Math.max(...sentences.map((words) => words.length));
    const [ids, features] = [new Int32Array(rows * time), new Int32Array(rows * time * slots)];
    sentences.forEach((words, row) =>
      words.forEach((word, i) => {
        const [own, ...others] = this.lookUp(word);
        ids[row * time + i] = own;
        features.set(others, (row * time + i) * slots);
      }),
    );
    const tensor = (values, dims) => new this.#ort.Tensor("int32", values, dims);
    let probs;
    try {
      ({ probs } = await this.#session.run({
        ids: tensor(ids, [rows, time]),
        features: tensor(features, [rows, time, slots]),
      }));
    } catch (cause) {
      throw new TaggerError(`the model cannot be run: ${cause.message}`, { cause });
    }
    const count = probs?.dims[2];
    if (count !== this.tags.length && !(count === 1 && this.tags.length === 2)) {
      throw new TaggerError("the tags in config.json are not those of the model");
    }
    const at = (place) => {
      const values = Array.from(probs.data.subarray(place * count, (place + 1) * count));
      return count === 1 ? [1 - values[0], values[0]] : values; // two tags share a probability: that of the second
    };
    return sentences.map((words, row) => words.map((_, i) => at(row * time + i)));
  }

  /** The version of onnxruntime. */
  get version() {
    return this.#ort.env.versions.node;
  }
}

const decode = (bytes) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);

async function filesOf(path) {
  const { join } = await import("node:path");
  const { fileURLToPath } = await import("node:url");
  const folder = path instanceof URL ? fileURLToPath(path) : path;
  if (typeof folder !== "string") throw new TypeError("the path of a model is a string or a URL");
  return ["model.onnx", "vocabulary.txt", "config.json"].map((name) => join(folder, name));
}

module.exports = { Tagger, TaggerError, makeRule };
