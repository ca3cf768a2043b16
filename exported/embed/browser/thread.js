// Runs in the Web Worker of worker.js: one message asks, one answers.

import { Classifier } from "./index.js";

let classifier;

const methods = {
  async load(folder) {
    classifier = await Classifier.load(folder);
    return classifier.labels;
  },
  predictMany: (texts) => classifier.predictMany(texts),
};

onmessage = async ({ data: { id, method, argument } }) => {
  try {
    postMessage({ id, answer: await methods[method](argument) });
  } catch (error) {
    postMessage({ id, error: error.message });
  }
};
