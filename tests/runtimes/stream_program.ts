// A second small program that uses the package of `rnnx embed browser --streaming`; test_browser_stream.py judges what it
// saw.

import "./example.js";
import { type Answer, type State, StreamError, StreamModel } from "rnnx-text-stream-web";

const RULES = ["bytes", "unicode-14", "unicode-14 marks"];

type Row = [readonly string[], string | null, number | null, readonly number[]];

const toRow = ({ words, label, probability, probs }: Answer): Row => [words, label ?? null, probability ?? null, probs];

const fromHex = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));

const refuse = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "answered",
    (error) => `${error instanceof StreamError ? "StreamError" : error.name}: ${error.message}`,
  );

/** The answer after each chunk of a text, and at its end; a state of every sixteenth text is saved and read again. */
async function readText(model: StreamModel, chunks: readonly string[], number: number): Promise<Row[]> {
  let state: State = model.begin();
  let answer: Answer;
  const rows: Row[] = [];
  for (const chunk of chunks.map(fromHex)) {
    const before = state;
    const given = JSON.stringify(before);
    ({ state, answer } = await model.step(before, chunk));
    rows.push(toRow(answer));
    if (number % 16 === 0) {
      const again = await model.step(JSON.parse(given) as State, chunk);
      if (JSON.stringify(before) !== given) throw Error("a step changed the state");
      if (JSON.stringify(again.state) !== JSON.stringify(state)) throw Error("a saved state goes on differently");
    }
  }
  rows.push(toRow((await model.finish(state)).answer));
  return rows;
}

/** The last answer to a text in one chunk. */
async function readWhole(model: StreamModel, text: string | Uint8Array): Promise<Row> {
  return toRow((await model.finish((await model.step(model.begin(), text)).state)).answer);
}

async function main() {
  const texts: string[][] = await (await fetch("../texts.json")).json();
  const answers: Record<string, Row[][]> = {};
  for (const rule of RULES) {
    const model = await StreamModel.load(`../${rule}`);
    // At the same time: each has a state of its own.
    answers[rule] = await Promise.all(texts.map((chunks, number) => readText(model, chunks, number)));
    await model.close();
  }
  const model: StreamModel = await StreamModel.load();
  const begun: State = model.begin();
  const others = {
    empty: await readWhole(model, ""),
    long: await readWhole(model, new Uint8Array(await (await fetch("../long.txt")).arrayBuffer())),
    goesOn: toRow((await model.step(await (await fetch("../state.json")).json(), "derful film ")).answer),
    state: (await model.step(begun, "A wonderful fi")).state,
  };
  const errors = {
    // @ts-expect-error a number is no text
    number: await refuse(model.step(begun, 5)),
    // @ts-expect-error a number is no address
    address: await refuse(StreamModel.load(5)),
    strange: await refuse(model.step({ ...begun, arrays: { h: [0] } }, "a")),
    absent: await refuse(StreamModel.load("../absent")),
    model: await refuse(StreamModel.load(new URL("../half model/", location.href))),
    vocabulary: await refuse(StreamModel.load("../half vocabulary")),
    config: await refuse(StreamModel.load("../half config")),
    other: await refuse(StreamModel.load("../other config")),
  };
  await model.close();
  await model.close();
  return { answers, ...others, labels: model.labels, errors: { ...errors, closed: await refuse(model.step(begun, "a")) } };
}

// @ts-expect-error only load makes a model
export const wrong = (): StreamModel => new StreamModel();

main().then(
  (seen) => Object.assign(window, { finished: seen }),
  (error) => Object.assign(window, { finished: { error: String(error.stack ?? error) } }),
);
