// A second small program that uses the package of `rnnx embed browser` for a tagger; test_browser_tagger.py judges what it
// saw.

import "./example.js";
import { type Sentence, Tagger, TaggerError, type Word } from "rnnx-tagger-web";

type Row = [number, number, string, number];

const fromHex = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));

const toRows = (sentences: Sentence[]): Row[][] =>
  sentences.map((words) => words.map(({ start, end, tag, probability }: Word): Row => [start, end, tag, probability]));

const refuse = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "answered",
    (error) => `${error instanceof TaggerError ? "TaggerError" : error.name}: ${error.message}`,
  );

async function main() {
  const texts: string[] = await (await fetch("../texts.json")).json();
  const tagger: Tagger = await Tagger.load();
  const tags: readonly string[] = tagger.tags;
  const answers = (await tagger.tagMany(texts.map(fromHex))).map(toRows);
  // At the same time, and from another address.
  const again = await Tagger.load("../model");
  const [one, other] = await Promise.all([tagger.tag("Nobody did!"), again.tag("Nobody did!")]);
  const isConsistent = JSON.stringify(one) === JSON.stringify(other);
  const errors = {
    // @ts-expect-error a number is no text
    number: await refuse(tagger.tag(5)),
    // @ts-expect-error a number is no address
    address: await refuse(Tagger.load(5)),
    absent: await refuse(Tagger.load("../absent")),
    model: await refuse(Tagger.load(new URL("../half model/", location.href))),
    vocabulary: await refuse(Tagger.load("../half vocabulary")),
    config: await refuse(Tagger.load("../half config")),
  };
  await tagger.close();
  await tagger.close();
  return { answers, tags, isConsistent, none: toRows(await again.tag("")), errors: { ...errors, closed: await refuse(tagger.tag("a")) } };
}

// @ts-expect-error only load makes a tagger
export const wrong = (): Tagger => new Tagger();

main().then(
  (seen) => Object.assign(window, { finished: seen }),
  (error) => Object.assign(window, { finished: { error: String(error.stack ?? error) } }),
);
