// The streaming model, in the thread that loads it. The files of the model are assets next to this file, which bundlers
// find by new URL(..., import.meta.url); so is the WebAssembly file of onnxruntime-web.

import * as ort from "onnxruntime-web/wasm";

import config from "./model/config.json" with { type: "json" };
import { Steps, isConfig, readTokens } from "./steps.js";

/** The model cannot be fetched, read or run, or a state is not one of this model. */
export class StreamError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = "StreamError";
  }
}

/** The bytes of a data: URL: Vite makes one of a small file, and a Content-Security-Policy may forbid to fetch it. */
function decodeData(url) {
  const [, isBase64, body] = /^data:[^,]*?(;base64)?,([^]*)$/.exec(url.href);
  const text = decodeURIComponent(body);
  return isBase64 ? Uint8Array.from(atob(text), (character) => character.charCodeAt(0)) : new TextEncoder().encode(text);
}

async function fetchBytes(url) {
  if (url.protocol === "data:") return decodeData(url);
  let response, bytes;
  try {
    response = await fetch(url);
    bytes = new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw new StreamError(`cannot fetch ${url}: ${cause.message}`, { cause });
  }
  if (!response.ok) throw new StreamError(`cannot fetch ${url}: ${response.status} ${response.statusText}`.trim());
  return bytes;
}

async function fetchConfig(url) {
  const bytes = await fetchBytes(url);
  let found;
  try {
    found = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new StreamError(`${url} is not JSON: ${cause.message}`, { cause });
  }
  if (!isConfig(found)) throw new StreamError(`${url} is not that of a stream`);
  return found;
}

/** The address of a folder, with a slash at its end. A relative one is relative to the page. */
function toFolder(path) {
  if (typeof path !== "string" && !(path instanceof URL)) throw new TypeError("the path of a model is a string or a URL");
  const url = new URL(path, globalThis.document?.baseURI ?? globalThis.location?.href);
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return url;
}

export class StreamModel {
  #session;
  #steps;

  /** For `load`, which makes models. */
  constructor(session, steps) {
    this.#session = session;
    this.#steps = steps;
    this.labels = steps.labels;
  }

  static async load(path) {
    const folder = path === undefined ? undefined : toFolder(path);
    const url = folder ? new URL("model.stream.onnx", folder) : new URL("./model/model.stream.onnx", import.meta.url);
    const list = folder ? new URL("vocabulary.txt", folder) : new URL("./model/vocabulary.txt", import.meta.url);
    const [model, vocabulary, about] = await Promise.all([
      fetchBytes(url),
      fetchBytes(list),
      folder ? fetchConfig(new URL("config.json", folder)) : config,
    ]);
    const tokens = readTokens(vocabulary, about);
    if (!tokens) throw new StreamError(`${list} is not the vocabulary of this model`);
    ort.env.wasm.numThreads ??= 1; // a recurrence only loses by more
    let session;
    try {
      session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
    } catch (cause) {
      throw new StreamError(`${url} is not a whole model: ${cause?.message ?? cause}`, { cause });
    }
    try {
      if (!Steps.belong(about, session)) throw new RangeError("it does not belong to this model");
      return new StreamModel(session, new Steps(ort, session, about, tokens, StreamError));
    } catch (cause) {
      await session.release();
      throw new StreamError(`config.json: ${cause.message}`, { cause });
    }
  }

  begin() {
    return this.#steps.begin();
  }

  async step(state, chunk) {
    this.#requireOpen();
    return this.#steps.step(state, chunk);
  }

  async finish(state) {
    this.#requireOpen();
    return this.#steps.finish(state);
  }

  async close() {
    const session = this.#session;
    this.#session = null;
    await session?.release();
  }

  #requireOpen() {
    if (!this.#session) throw new StreamError("the model is closed");
  }

  /** The ids of words, as an answer has them; 2 for an unknown word. */
  toIds(words) {
    return this.#steps.toIds(words);
  }

  /** The version of onnxruntime. */
  get version() {
    return ort.env.versions.web;
  }
}
