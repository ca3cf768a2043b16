#!/usr/bin/env node
// Text in, label and probability out, with onnxruntime-node alone: the command around the library in index.js.

import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";

import { Classifier, ClassifierError } from "./index.js";

const USAGE = `usage: node main.js TEXT | --file PATH | --golden | --help

  TEXT          prints the label of a text and its probability
  -- TEXT       the same, for a text that looks like an option
  --file PATH   reads the text from a file; - is the standard input
  --golden      compares with golden.json; exits with 1 at the first difference

Without arguments, the text comes from the standard input, unless that is a terminal.
`;

async function runGolden(classifier) {
  const rows = JSON.parse(await readFile(new URL("golden.json", import.meta.url), "utf8"));
  const texts = rows.map((row) => Buffer.from(row.bytes, "hex"));
  const alone = [];
  for (const text of texts) alone.push((await classifier.computeProbs([text]))[0]);
  const start = performance.now();
  for (const text of texts) await classifier.computeProbs([text]);
  const microseconds = ((performance.now() - start) / texts.length) * 1000;
  let largest = 0;
  for (const [where, answers] of [["alone", alone], ["in a batch", await classifier.computeProbs(texts)]]) {
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
    `onnxruntime ${classifier.version}: ${count} of ${count} right, ` +
      `largest difference ${largest.toPrecision(2)}, ${microseconds.toFixed(0)} us a text`,
  );
  return 0;
}

/** The text that the arguments name: a string or bytes; undefined if they are wrong. */
function readText([first, ...rest]) {
  if (first === undefined && !process.stdin.isTTY) return buffer(process.stdin);
  if (first === "--file" && rest.length === 1) return rest[0] === "-" ? buffer(process.stdin) : readFile(rest[0]);
  if (first === "--" && rest.length === 1) return rest[0];
  return rest.length === 0 && !/^--?[a-z-]*$/.test(first ?? "-") ? first : undefined;
}

async function main(words) {
  if (words.length === 1 && (words[0] === "--help" || words[0] === "-h")) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (words.length === 1 && words[0] === "--golden") return runGolden(await Classifier.load());
  const text = await readText(words);
  if (text === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  const { label, probability } = await (await Classifier.load()).predict(text);
  console.log(`${label}\t${probability.toFixed(6)}`);
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof ClassifierError) && error.syscall === undefined) throw error;
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
