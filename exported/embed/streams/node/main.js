#!/usr/bin/env node
// The answer so far after each line of a text, with onnxruntime-node alone: the command around the library in index.js.

import { open, readFile } from "node:fs/promises";

import { StreamError, StreamModel } from "./index.js";
import { compareGolden } from "./steps.js";

const USAGE = `usage: node main.js TEXT | --file PATH | --golden | --help

  TEXT          prints the label of a text and its probability
  -- TEXT       the same, for a text that looks like an option
  --file PATH   prints the answer so far after each line of a file; - is the standard input
  --golden      compares with golden.json; exits with 1 at the first difference

Without arguments, the text comes from the standard input, unless that is a terminal.
`;

async function runGolden(model) {
  const rows = JSON.parse(await readFile(new URL("model/golden.json", import.meta.url), "utf8"));
  const { isRight, line } = await compareGolden(model, rows);
  console.log(line);
  return isRight ? 0 : 1;
}

/** The chunks that the arguments name: one text, or a stream of bytes; undefined if they are wrong. */
async function readChunks([first, ...rest]) {
  if (first === undefined && !process.stdin.isTTY) return process.stdin;
  if (first === "--file" && rest.length === 1) {
    return rest[0] === "-" ? process.stdin : (await open(rest[0])).createReadStream();
  }
  if (first === "--" && rest.length === 1) return rest[0];
  return rest.length === 0 && !/^--?[a-z-]*$/.test(first ?? "-") ? first : undefined;
}

/** The answer as a line; empty before the first word. */
function formatAnswer({ label, probability, number }) {
  if (number !== undefined) return `${Number(number.toPrecision(7))}`;
  return label === undefined ? "" : `${label}\t${probability.toFixed(6)}`;
}

/** Yields the lines of a stream of bytes as they come, with their ends. */
async function* splitLines(chunks) {
  for await (let chunk of chunks) {
    for (let end; (end = chunk.indexOf(10) + 1); chunk = chunk.subarray(end)) yield chunk.subarray(0, end);
    if (chunk.length) yield chunk;
  }
}

/** Prints the answer so far after each line as it comes, and after the word at the end of the text. */
async function answerLines(model, chunks) {
  let [state, answer, isAnswered] = [model.begin(), undefined, false];
  for await (const line of splitLines(chunks)) {
    ({ state, answer } = await model.step(state, line));
    const said = line[line.length - 1] === 10 ? formatAnswer(answer) : "";
    if (said) console.log(said);
    isAnswered = line[line.length - 1] === 10 && said !== "";
  }
  ({ answer } = await model.finish(state));
  if (answer.words.length || !isAnswered) console.log(formatAnswer(answer));
}

async function main(words) {
  if (words.length === 1 && (words[0] === "--help" || words[0] === "-h")) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (words.length === 1 && words[0] === "--golden") return runGolden(await StreamModel.load());
  const chunks = await readChunks(words);
  if (chunks === undefined) {
    process.stderr.write(USAGE);
    return 2;
  }
  const model = await StreamModel.load();
  if (typeof chunks !== "string") {
    await answerLines(model, chunks);
    return 0;
  }
  const { state } = await model.step(model.begin(), chunks);
  console.log(formatAnswer((await model.finish(state)).answer));
  return 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof StreamError) && error.syscall === undefined) throw error;
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
