// The second small program that uses the package of `rnnx embed browser`; test_browser_kit.py judges what it saw.

import "./example.js";
import { Classifier, ClassifierError, type Prediction } from "rnnx-text-classifier-web";
import { Classifier as Threaded, ClassifierError as Same } from "rnnx-text-classifier-web/worker";

interface Row {
  readonly bytes: string;
}

const refuse = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "answered",
    (error) => `${error instanceof ClassifierError ? "ClassifierError" : error.name}: ${error.message}`,
  );

async function use(kind: typeof Classifier, rows: readonly Row[]) {
  const classifier: Classifier = await kind.load();
  const labels: readonly string[] = classifier.labels;
  const texts = rows.map(({ bytes }) => Uint8Array.from(bytes.match(/../g) ?? [], (hex) => parseInt(hex, 16)));
  const alone: Prediction[] = [];
  for (const text of texts) alone.push(await classifier.predict(text));
  const together = await classifier.predictMany(new Set(texts));
  const big = await classifier.predict("the film is great ".repeat(60_000));
  const [many, one, other] = await Promise.all([
    classifier.predictMany(["awful", ...Array<string>(3000).fill(""), "x ".repeat(300_000), "wonderful"]),
    classifier.predict("wonderful"),
    classifier.predict("awful"),
  ]);
  const other_folder = await kind.load("../model");
  const errors = {
    // @ts-expect-error a number is no text
    number: await refuse(classifier.predict(5)),
    // @ts-expect-error a number is no address
    address: await refuse(kind.load(5)),
    characters: await refuse(classifier.predictMany("many")),
    absent: await refuse(kind.load("../absent")),
    truncated: await refuse(kind.load(new URL("../truncated/", location.href))),
    unlabelled: await refuse(kind.load("../unlabelled")),
    swapped: await refuse(kind.load("../swapped").then((wrong) => wrong.predict("a"))),
  };
  await classifier.close();
  await classifier.close();
  const probability: number | undefined = one.probs[1];
  return {
    labels,
    alone: alone.map(({ probs }) => probs),
    together: together.map(({ probs }) => probs),
    big: big.probs,
    order: [many.length, many[0]?.label, many.at(-1)?.label, one.label, other.label],
    none: (await other_folder.predictMany([])).length,
    isConsistent: probability === one.probability && one.probability === (await other_folder.predict("wonderful")).probability,
    errors: { ...errors, closed: await refuse(classifier.predict("a")) },
  };
}

// @ts-expect-error only load makes a classifier
export const wrong = (): Classifier => new Classifier();

async function main() {
  const rows: Row[] = await (await fetch("../golden.json")).json();
  const isOneClass: boolean = Same === ClassifierError;
  return { isOneClass, page: await use(Classifier, rows), worker: await use(Threaded, rows) };
}

main().then(
  (seen) => Object.assign(window, { finished: seen }),
  (error) => Object.assign(window, { finished: { error: String(error.stack ?? error) } }),
);
