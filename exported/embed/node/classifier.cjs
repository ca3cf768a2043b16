// The classifier itself, one class for `import` and for `require`. Modules are loaded by import() alone, so that
// bundlers can write this file into an ES module as well.
"use strict";

/** The model cannot be read or run. `cause` is the error of Node or of onnxruntime. */
class ClassifierError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = "ClassifierError";
  }
}

const MOST_BYTES = 1 << 20; // of a batch: a long text does not widen the rows of many short ones
const MOST_TEXTS = 1024; // of a batch

async function read(file) {
  const { readFile } = await import("node:fs/promises");
  try {
    return await readFile(file);
  } catch (cause) {
    throw new ClassifierError(`cannot read ${file.pathname ?? file}: ${cause.message}`, { cause });
  }
}

async function readLabels(file) {
  const bytes = await read(file);
  let labels;
  try {
    ({ labels } = JSON.parse(bytes.toString("utf8")));
  } catch (cause) {
    throw new ClassifierError(`${file.pathname ?? file} is not JSON: ${cause.message}`, { cause });
  }
  const isRight = Array.isArray(labels) && labels.length > 0 && labels.every((label) => typeof label === "string");
  if (!isRight) throw new ClassifierError(`${file.pathname ?? file} has no labels`);
  return Object.freeze(labels);
}

function toBytes(text) {
  if (typeof text === "string") return new TextEncoder().encode(text);
  if (text instanceof Uint8Array) return text;
  throw new TypeError("a text is a string or a Uint8Array");
}

/** Positions of texts in batches of similar lengths. */
function toBatches(texts) {
  const batches = [];
  let batch = [];
  for (const i of texts.map((_, i) => i).sort((a, b) => texts[a].length - texts[b].length)) {
    if (batch.length === MOST_TEXTS || (batch.length && (batch.length + 1) * texts[i].length > MOST_BYTES)) {
      batches.push(batch);
      batch = [];
    }
    batch.push(i);
  }
  return batch.length ? [...batches, batch] : batches;
}

class Classifier {
  #ort;
  #session;

  /** For `load`, which makes classifiers. */
  constructor(ort, session, labels) {
    this.#ort = ort;
    this.#session = session;
    this.labels = labels;
  }

  static async load(path) {
    const [model, config] = path === undefined ? Classifier.files() : await filesOf(path);
    const [bytes, labels] = [await read(model), await readLabels(config)];
    process.env.ORT_DISABLE_TELEMETRY ??= "1"; // onnxruntime reads it when it is loaded
    const module = await import("onnxruntime-node");
    const ort = module.default ?? module;
    try {
      const options = { intraOpNumThreads: 1 }; // a recurrence only loses by more
      return new Classifier(ort, await ort.InferenceSession.create(bytes, options), labels);
    } catch (cause) {
      throw new ClassifierError(`${model.pathname ?? model} is not a whole model: ${cause.message}`, { cause });
    }
  }

  async predict(text) {
    return (await this.predictMany([text]))[0];
  }

  async predictMany(texts) {
    const rows = Array.from(texts, toBytes);
    const predictions = new Array(rows.length);
    for (const batch of toBatches(rows)) {
      const answers = await this.computeProbs(batch.map((i) => rows[i]));
      batch.forEach((i, row) => (predictions[i] = this.#describe(answers[row])));
    }
    return predictions;
  }

  /** Texts as bytes, in one batch, to probabilities. Rows are padded with zeros; an empty text is one zero. */
  async computeProbs(texts) {
    const width = Math.max(1, ...texts.map((text) => text.length));
    const rows = new Uint8Array(texts.length * width);
    texts.forEach((text, i) => rows.set(text, i * width));
    const count = this.labels.length;
    let probs;
    try {
      ({ probs } = await this.#session.run({ text: new this.#ort.Tensor("uint8", rows, [texts.length, width]) }));
    } catch (cause) {
      throw new ClassifierError(`the model cannot be run: ${cause.message}`, { cause });
    }
    if (probs?.data.length !== texts.length * count) {
      throw new ClassifierError("the labels in config.json are not those of the model");
    }
    return texts.map((_, i) => Array.from(probs.data.subarray(i * count, (i + 1) * count)));
  }

  #describe(probs) {
    const best = probs.indexOf(Math.max(...probs));
    return { label: this.labels[best], probability: probs[best], probs };
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
  return [join(folder, "model.text.onnx"), join(folder, "config.json")];
}

module.exports = { Classifier, ClassifierError };
