// The streaming model, one class for `import` and for `require`. It reads the files and loads onnxruntime; steps.js does
// the rest. That module and onnxruntime are loaded by import() alone: then Node 18 can `require` this file, and bundlers
// can write it into an ES module as well.
"use strict";

/** The model cannot be read or run, or a state is not one of this model. */
class StreamError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = "StreamError";
  }
}

async function read(file) {
  const { readFile } = await import("node:fs/promises");
  try {
    return await readFile(file);
  } catch (cause) {
    throw new StreamError(`cannot read ${file.pathname ?? file}: ${cause.message}`, { cause });
  }
}

async function readConfig(file, isConfig) {
  const bytes = await read(file);
  let config;
  try {
    config = JSON.parse(bytes.toString("utf8"));
  } catch (cause) {
    throw new StreamError(`${file.pathname ?? file} is not JSON: ${cause.message}`, { cause });
  }
  if (!isConfig(config)) throw new StreamError(`${file.pathname ?? file} is not that of a stream`);
  return config;
}

class StreamModel {
  #ort;
  #steps;

  /** For `load`, which makes models. */
  constructor(ort, steps) {
    this.#ort = ort;
    this.#steps = steps;
    this.labels = steps.labels;
  }

  static async load(path) {
    const [model, vocabulary, settings] = path === undefined ? StreamModel.files() : await filesOf(path);
    const { Steps, isConfig, readTokens } = await import("./steps.js");
    const [bytes, config] = [await read(model), await readConfig(settings, isConfig)];
    const tokens = readTokens(await read(vocabulary), config);
    if (!tokens) throw new StreamError(`${vocabulary.pathname ?? vocabulary} is not the vocabulary of this model`);
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
    if (!Steps.belong(config, session)) {
      throw new StreamError(`${settings.pathname ?? settings} does not belong to this model`);
    }
    try {
      return new StreamModel(ort, new Steps(ort, session, config, tokens, StreamError));
    } catch (cause) {
      throw new StreamError(`${settings.pathname ?? settings}: ${cause.message}`, { cause });
    }
  }

  begin() {
    return this.#steps.begin();
  }

  async step(state, chunk) {
    return this.#steps.step(state, chunk);
  }

  async finish(state) {
    return this.#steps.finish(state);
  }

  /** The ids of words, as an answer has them; 2 for an unknown word. */
  toIds(words) {
    return this.#steps.toIds(words);
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
