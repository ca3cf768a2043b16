// Reads the text piece by piece, so that the page never waits.
//
// The state after each piece is kept. If the text was changed before its end, the stream goes on from the last state
// before the change.

import { StreamModel } from "../index.js";
import config from "../model/config.json" with { type: "json" };
import { compareGolden, fromHex } from "../steps.js";

const PIECE_BYTES = 4096; // of a file
const MOST_SHOWN = 200; // pieces

let model;
let newest; // the number of the last text or file
let first; // the state before the text: another one if a state was opened
let read = "";
let pieces = []; // where each ends in `read`, 0 if it is of a file before the text; the state and the answer after it

const current = () => (pieces.length ? pieces[pieces.length - 1].state : first);

function restart(state) {
  [first, pieces, read] = [state, [], ""];
}

async function readPiece(chunk, end) {
  const { state, answer } = await model.step(current(), chunk);
  const last = pieces[pieces.length - 1];
  // A piece that finished no word becomes a part of the next one.
  if (last && !last.answer.words.length && (last.end > 0 || end === 0)) pieces.pop();
  pieces.push({ end, state, answer });
}

async function readText(text) {
  let same = 0;
  while (same < read.length && read[same] === text[same]) same++;
  while (pieces.length && pieces[pieces.length - 1].end > same) pieces.pop();
  const start = pieces.length ? pieces[pieces.length - 1].end : 0;
  if (text.length > start) await readPiece(text.slice(start), text.length);
  read = text;
}

async function readFile(id, bytes) {
  restart(model.begin());
  for (let start = 0; start < bytes.length && id === newest; start += PIECE_BYTES) {
    await readPiece(bytes.subarray(start, start + PIECE_BYTES), 0);
    if (start % (16 * PIECE_BYTES) === 0) await show(id, false);
  }
}

/** Says what is known now. `isRead` tells whether the whole text was read. */
async function show(id, isRead, ms = 0) {
  const state = current();
  const { answer: end } = await model.finish(state); // `state` stays as it is
  const finished = pieces.filter(({ answer }) => answer.words.length);
  postMessage({
    kind: "answer",
    id,
    isRead,
    ms,
    now: pieces.length ? pieces[pieces.length - 1].answer : null,
    end,
    words: state.positions - (config.tokenizer.start && state.positions ? 1 : 0),
    held: new TextDecoder().decode(fromHex(state.held)),
    count: finished.length,
    pieces: finished.slice(-MOST_SHOWN).map(({ answer }) => ({ ...answer, words: shorten(answer.words) })),
  });
}

async function open({ name, text }) {
  try {
    const state = JSON.parse(text);
    await model.step(state, ""); // an error unless it is a state of this model
    restart(state);
  } catch (error) {
    throw Error(`${name}: ${error.message}`, { cause: error });
  }
  postMessage({ kind: "opened", name });
}

const shorten = (words) => ({ first: words.slice(0, 8), count: words.length });

async function act(data) {
  const start = performance.now();
  if (data.kind === "golden") {
    const response = await fetch(new URL("../model/golden.json", import.meta.url));
    return postMessage({ kind: "golden", ...(await compareGolden(model, await response.json())) });
  }
  if (data.kind === "save") return postMessage({ kind: "state", text: JSON.stringify(current()) });
  if (data.kind === "open") await open(data);
  else if (data.kind === "begin") restart(model.begin());
  else if (data.id !== newest) return;
  else if (data.kind === "file") await readFile(data.id, data.bytes);
  else await readText(data.text);
  await show(data.id, true, performance.now() - start);
}

const fail = (error) => postMessage({ kind: "error", message: String(error?.message ?? error) });

const loaded = StreamModel.load().then((found) => {
  model = found;
  restart(model.begin());
  postMessage({ kind: "ready", name: config.name, labels: model.labels });
});
// One after the other: each piece needs the state after the one before it.
let queue = loaded.catch(fail);

onmessage = ({ data }) => {
  if (data.id !== undefined) newest = data.id;
  queue = queue.then(() => loaded).then(() => act(data)).catch(fail);
};
