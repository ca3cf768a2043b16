// Text in, label and probability out, with onnxruntime-node alone.
//
//   node main.js "A wonderful film."    prints the label and its probability
//   node main.js --golden               compares with golden.json; exits with 1 at the first difference

import { readFile } from "node:fs/promises";

process.env.ORT_DISABLE_TELEMETRY ??= "1"; // onnxruntime reads it when it is loaded
const { default: ort } = await import("onnxruntime-node");

const file = (name) => new URL(name, import.meta.url);
const readJson = async (name) => JSON.parse(await readFile(file(name), "utf8"));

class Classifier {
  static async load() {
    const classifier = new Classifier();
    const options = { intraOpNumThreads: 1 }; // a recurrence only loses by more
    classifier.session = await ort.InferenceSession.create(await readFile(file("model.text.onnx")), options);
    // onnxruntime's JavaScript does not show a file's metadata (onnxruntime #16547); the same stands in config.json.
    classifier.labels = (await readJson("config.json")).labels;
    return classifier;
  }

  /** Texts as bytes to one array of probabilities each. Rows are padded with zeros; an empty text is one zero. */
  async predict(texts) {
    const width = Math.max(1, ...texts.map((text) => text.length));
    const rows = new Uint8Array(texts.length * width);
    texts.forEach((text, i) => rows.set(text, i * width));
    const { probs } = await this.session.run({ text: new ort.Tensor("uint8", rows, [texts.length, width]) });
    const count = this.labels.length;
    return texts.map((_, i) => Array.from(probs.data.subarray(i * count, (i + 1) * count)));
  }
}

async function runGolden(classifier) {
  const rows = await readJson("golden.json");
  const texts = rows.map((row) => Buffer.from(row.bytes, "hex"));
  const alone = [];
  for (const text of texts) alone.push((await classifier.predict([text]))[0]);
  const start = performance.now();
  for (const text of texts) await classifier.predict([text]);
  const microseconds = ((performance.now() - start) / texts.length) * 1000;
  let largest = 0;
  for (const [where, answers] of [["alone", alone], ["in a batch", await classifier.predict(texts)]]) {
    for (const [i, { text_probs: expected, tolerance }] of rows.entries()) {
      const difference = Math.max(...expected.map((p, label) => Math.abs(p - answers[i][label])));
      if (!(difference <= tolerance)) {
        console.log(`golden text ${i} ${where}: off by ${difference}, more than ${tolerance}`);
        return 1;
      }
      largest = Math.max(largest, difference);
    }
  }
  const count = 2 * rows.length;
  console.log(
    `onnxruntime ${ort.env.versions.node}: ${count} of ${count} right, ` +
      `largest difference ${largest.toPrecision(2)}, ${microseconds.toFixed(0)} us a text`,
  );
  return 0;
}

async function main([argument, ...rest]) {
  if (argument === undefined || rest.length) {
    console.error('usage: node main.js TEXT | --golden');
    return 2;
  }
  const classifier = await Classifier.load();
  if (argument === "--golden") return runGolden(classifier);
  const [probs] = await classifier.predict([new TextEncoder().encode(argument)]);
  const best = probs.indexOf(Math.max(...probs));
  console.log(`${classifier.labels[best]}\t${probs[best].toFixed(6)}`);
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
