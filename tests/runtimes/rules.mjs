// Runs the rules of the kit for Node on the texts of the standard input, as `given_to_rules` writes them.
//
// usage: node rules.mjs TAGGER.CJS CONFIG.JSON

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { makeRule } = createRequire(import.meta.url)(process.argv[2]);
const { characters } = JSON.parse(readFileSync(process.argv[3], "utf8"));
const { settings, words, texts } = JSON.parse(readFileSync(0, "utf8"));
const tokens = ["<pad>", "<start>", "<unknown>", ...words.map((word) => Buffer.from(word, "hex").toString("latin1"))];
const rule = makeRule({ words: settings, characters }, [...tokens, "SUFFIX1=s"]);
const found = texts.map((hex) => {
  const text = new Uint8Array(Buffer.from(hex, "hex"));
  const sentences = rule.split(text);
  const looked = sentences.flat().map(([start, end]) => rule.toTokens(text.subarray(start, end), settings.features));
  return [sentences, looked.map((row) => row.map((token) => Buffer.from(token, "latin1").toString("hex")))];
});
process.stdout.write(JSON.stringify(found));
