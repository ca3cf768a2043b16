// The same classifier in a Web Worker, so that the page never waits for it.

import { ClassifierError, toBytes, toFolder } from "./texts.js";

export { ClassifierError };

export class Classifier {
  #worker;
  #waiting = new Map();
  #count = 0;
  #end = null; // why the worker no longer answers

  /** For `load`, which makes classifiers. */
  constructor() {
    try {
      this.#worker = new Worker(new URL("./thread.js", import.meta.url), { type: "module", name: "rnnx-text-classifier" });
    } catch (cause) {
      throw new ClassifierError(`the worker of the classifier cannot be started: ${cause.message}`, { cause });
    }
    this.#worker.onmessage = ({ data: { id, answer, error } }) => {
      const { resolve, reject } = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) resolve(answer);
      else reject(new ClassifierError(error));
    };
    this.#worker.onerror = (event) => {
      event.preventDefault?.();
      this.#stop(`the worker of the classifier failed: ${event.message || "it could not be started"}`);
    };
  }

  static async load(path) {
    const folder = path === undefined ? undefined : toFolder(path).href;
    const classifier = new Classifier();
    try {
      classifier.labels = Object.freeze(await classifier.#ask("load", folder));
    } catch (error) {
      classifier.#stop(error.message);
      throw error;
    }
    return classifier;
  }

  async predict(text) {
    return (await this.predictMany([text]))[0];
  }

  async predictMany(texts) {
    if (typeof texts === "string") throw new TypeError("predictMany takes many texts; predict takes one");
    return this.#ask("predictMany", Array.from(texts, toBytes));
  }

  async close() {
    this.#stop("the classifier is closed");
  }

  #ask(method, argument) {
    if (this.#end !== null) return Promise.reject(new ClassifierError(this.#end));
    return new Promise((resolve, reject) => {
      const id = this.#count++;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, method, argument });
    });
  }

  #stop(why) {
    this.#end ??= why;
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(new ClassifierError(why));
    this.#waiting.clear();
  }
}
