#!/usr/bin/env node
// Text in, sentences of tagged words out, with onnxruntime-node alone: the command around the library in index.js.

import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";

import { Tagger, TaggerError } from "./index.js";

const USAGE = `usage: node main.js TEXT | --file PATH | --golden | --help

  TEXT          prints the words of a text: sentence, word, tag, probability
  -- TEXT       the same, for a text that looks like an option
  --file PATH   reads the text from a file; - is the standard input
  --golden      compares with golden.json; exits with 1 at the first difference

Without arguments, the text comes from the standard input, unless that is a terminal.
`;

async function runGolden(tagger) {
  const golden = JSON.parse(await readFile(new URL("model/golden.json", import.meta.url), "utf8"));
  for (const [i, { bytes, sentences }] of golden.texts.entries()) {
    if (JSON.stringify(tagger.split(Buffer.from(bytes, "hex"))) !== JSON.stringify(sentences)) {
      console.log(`golden text ${i}: other sentences or words`);
      return 1;
    }
  }
  const sentences = golden.sentences.map(({ bytes }) => bytes.map((word) => Buffer.from(word, "hex")));
  const alone = [];
  const start = performance.now();
  for (const sentence of sentences) alone.push((await tagger.compute([sentence]))[0]);
  const microseconds = ((performance.now() - start) / sentences.length) * 1000;
  let [largest, count] = [0, 0];
  for (const [where, answers] of [["alone", alone], ["in a batch", await tagger.compute(sentences)]]) {
    for (const [i, row] of golden.sentences.entries()) {
      const best = answers[i].map((probs) => Math.max(...probs));
      const tags = answers[i].map((probs, k) => tagger.tags[probs.indexOf(best[k])]);
      const ids = row.ids.map((own, k) => [own, ...row.features[k]]);
      const isRight =
        JSON.stringify(tags) === JSON.stringify(row.tags) &&
        JSON.stringify(sentences[i].map((word) => tagger.lookUp(word))) === JSON.stringify(ids);
      const difference = Math.max(...row.probabilities.map((p, k) => Math.abs(p - best[k])));
      if (!isRight || !(difference <= row.tolerance)) {
        console.log(`golden sentence ${i} ${where}: other ids or tags, or off by ${difference}`);
        return 1;
      }
      largest = Math.max(largest, difference);
      count += tags.length;
    }
  }
  console.log(
    `onnxruntime ${tagger.version}: ${count} of ${count} right, ` +
      `largest difference ${largest.toPrecision(2)}, ${microseconds.toFixed(0)} us a sentence`,
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

/** The words of a text as lines; a control character is shown as a question mark. */
function formatLines(sentences) {
  const lines = sentences.flatMap((sentence, i) =>
    sentence.map(({ text, tag, probability }) => {
      const shown = text.replace(/[\x00-\x1f\x7f-\x9f]/g, "?");
      return `${i + 1}\t${shown}\t${tag}\t${probability.toFixed(6)}\n`;
    }),
  );
  return lines.join("");
}

async function main(words) {
  if (words.length === 1 && (words[0] === "--help" || words[0] === "-h")) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (words.length === 1 && words[0] === "--golden") return runGolden(await Tagger.load());
  const text = await readText(words);
  if (text === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  process.stdout.write(formatLines(await (await Tagger.load()).tag(text)));
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof TaggerError) && error.syscall === undefined) throw error;
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
