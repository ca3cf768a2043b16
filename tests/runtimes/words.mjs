// Finds the words of texts as the page does, for test_words.py to judge.
//
//   node words.mjs FOLDER < [{"tokenizer": {...}, "texts": ["hex"]}]

import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [folder] = process.argv.slice(2);
const { makeFinder, readFirst, readLast } = await import(pathToFileURL(`${folder}/words.js`));
const table = JSON.parse(readFileSync(`${folder}/unicode-14.json`, "utf8"));

const found = JSON.parse(readFileSync(0, "utf8")).map(({ tokenizer, texts }) => {
  const find = makeFinder(tokenizer, table);
  return texts.map((hex) => {
    const bytes = Uint8Array.from(Buffer.from(hex, "hex"));
    const { starts, ends } = find(bytes);
    return starts.map((start, i) => [start, ends[i]]);
  });
});
const cut = new TextEncoder().encode("很好吃😀é");
console.log(JSON.stringify({ found, first: readFirst(cut, 2), last: readLast(cut, 3) }));
