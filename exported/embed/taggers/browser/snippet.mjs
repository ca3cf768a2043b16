import { Tagger } from "./index.js";

const tagger = await Tagger.load();
for (const sentence of await tagger.tag("They didn't see it. Nobody did!")) {
  console.log(...sentence.map(({ text, tag }) => `${text}/${tag}`));
}
