// The classifier, in the thread that loads it. The model is an asset next to this file, which bundlers find by
// new URL(..., import.meta.url); so is the WebAssembly file of onnxruntime-web.

import * as ort from "onnxruntime-web/wasm";

import config from "./config.json" with { type: "json" };
import { ClassifierError, toBytes, toFolder } from "./texts.js";

export { ClassifierError };

const MOST_BYTES = 1 << 20; // of a batch: a long text does not widen the rows of many short ones
const MOST_TEXTS = 1024; // of a batch

async function fetchBytes(url) {
  let response, bytes;
  try {
    response = await fetch(url);
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw new ClassifierError(`cannot fetch ${url}: ${cause.message}`, { cause });
  }
  if (!response.ok) throw new ClassifierError(`cannot fetch ${url}: ${response.status} ${response.statusText}`.trim());
  return bytes;
}

async function fetchConfig(url) {
  const bytes = await fetchBytes(url);
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new ClassifierError(`${url} is not JSON: ${cause.message}`, { cause });
  }
}

function readLabels(config) {
  const labels = config?.labels;
  const isRight = Array.isArray(labels) && labels.length > 0 && labels.every((label) => typeof label === "string");
  if (!isRight) throw new ClassifierError("config.json has no labels");
  return Object.freeze([...labels]);
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

export class Classifier {
  #session;

  /** For `load`, which makes classifiers. */
  constructor(session, labels) {
    this.#session = session;
    this.labels = labels;
  }

  static async load(path) {
    const folder = path === undefined ? undefined : toFolder(path);
    const url = folder ? new URL("model.text.onnx", folder) : new URL("./model.text.onnx", import.meta.url);
    const [model, about] = await Promise.all([
      fetchBytes(url),
      folder ? fetchConfig(new URL("config.json", folder)) : config,
    ]);
    const labels = readLabels(about);
    ort.env.wasm.numThreads ??= 1; // a recurrence only loses by more
    try {
      return new Classifier(await ort.InferenceSession.create(model, { executionProviders: ["wasm"] }), labels);
    } catch (cause) {
      throw new ClassifierError(`onnxruntime cannot load ${url}: ${cause?.message ?? cause}`, { cause });
    }
  }

  async predict(text) {
    return (await this.predictMany([text]))[0];
  }

  async predictMany(texts) {
    if (typeof texts === "string") throw new TypeError("predictMany takes many texts; predict takes one");
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
    if (!this.#session) throw new ClassifierError("the classifier is closed");
    let probs;
    try {
      ({ probs } = await this.#session.run({ text: new ort.Tensor("uint8", rows, [texts.length, width]) }));
    } catch (cause) {
      throw new ClassifierError(`the model cannot be run: ${cause?.message ?? cause}`, { cause });
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

  async close() {
    const session = this.#session;
    this.#session = null;
    await session?.release();
  }

  /** The version of onnxruntime. */
  get version() {
    return ort.env.versions.web;
  }
}
