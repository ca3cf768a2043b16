// The rule `bytes`: splits a text into sentences and words as English treebanks do, and gives the features of words.
//
// Everything is defined on bytes. They are read as a binary string here, one character for each byte.
/** A pattern that matches the ASCII letters of `source` in either case. JavaScript's flag `i` knows other letters too. */
const anyCase = (source) => source.replace(/[a-z]/g, (c) => `[${c}${c.toUpperCase()}]`);

const SPACE = "[\\t-\\r ]";
// White space that is not ASCII: the no-break space, spaces of fixed width, line and paragraph separators, the CJK
// space, and the byte order mark.
const WIDE_SPACE = /\xc2\xa0|\xe2\x80[\x80-\x8b\xa8\xa9\xaf]|\xe3\x80\x80|\xef\xbb\xbf/g;
// Punctuation that is not ASCII: inverted marks, guillemets, the middle dot; dashes, quotes, the ellipsis; the CJK full
// stop and comma.
const WIDE_SIGN = "(?:\\xc2[\\xa1\\xab\\xb7\\xbb\\xbf]|\\xe2\\x80[\\x90-\\xbf]|\\xe3\\x80[\\x81\\x82])";
const LETTER = `(?:[A-Za-z0-9_]|(?!${WIDE_SIGN})[\\x80-\\xff])`;
const APOSTROPHE = "(?:'|\\xe2\\x80\\x99)";
const NOT_BEFORE_LETTER = `(?!${LETTER})`;
const ABBREVIATIONS =
  "dr|mr|mrs|ms|st|ft|mt|jr|sr|vs|etc|inc|corp|co|ltd|gen|lt|col|sgt|rev|gov|sen|rep|prof|no|dept|approx|ave|" +
  "jan|feb|aug|sept|sep|oct|nov|dec|mon|tues|wed|thurs|fri|sat";
const PREFIXES = "e|co|pre|non|re|anti|multi|post|semi|sub|un|ex|mid|inter|counter|pro|bi|neo|ultra|mini";
const UNITS = "am|pm|k|m|b|bn|mm|cm|km|ft|kg|lbs?|hz|mhz|ghz|x";
// The first pattern that matches is a word.
const WORD = new RegExp(
  [
    "(?:(?:https?|ftp)://|www\\.)[^\\t-\\r <>\"]*[^\\t-\\r <>\".,;:!?)\\]']",
    "[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9-]+(?:\\.[A-Za-z0-9-]+)*",
    `[:;=]['-]?[()DPp]+${NOT_BEFORE_LETTER}`,
    `(?:[A-Za-z]\\.){2,}|[A-Z]\\.(?=${SPACE})|(?:${anyCase(ABBREVIATIONS)})\\.`,
    `[0-9]+(?:[.,:/][0-9]+)*(?=(?:${anyCase(UNITS)})${NOT_BEFORE_LETTER})`,
    `[0-9]{3}-(?:[0-9]{3}-)?[0-9]{4}${NOT_BEFORE_LETTER}`,
    `\\.?[0-9]+(?:[.,:/][0-9]+)+${NOT_BEFORE_LETTER}`,
    `[A-Z]+&[A-Z]+${NOT_BEFORE_LETTER}`,
    `(?:(?:${anyCase(PREFIXES)})-)?${LETTER}+(?:(?:\\.|${APOSTROPHE})${LETTER}+)*`,
    `${APOSTROPHE}(?:${anyCase("s|m|ll|ve|re|d")})${NOT_BEFORE_LETTER}`,
    "[.!?]{2,}|\\xe2\\x80\\xa6",
    "([!-/:-@\\[-^`{-~])\\1+",
    `(${WIDE_SIGN})\\2*`,
    "[^\\t-\\r ]",
  ].join("|"),
  "g",
);
// The part of a word before an ending that is a word of its own.
const NOT_ENDINGS = anyCase("do|does|did|ca|wo|is|was|would|could|should|has|have");
const BEFORE_ENDING = new RegExp(
  `^(?:[^]*[A-Za-z\\x80-\\xff](?=[nN]${APOSTROPHE}[tT]$)|[^]+(?=${APOSTROPHE}(?:${anyCase("s|m|ll|ve|re|d")})$)` +
    `|${anyCase("can")}(?=${anyCase("not")}$)|(?:${anyCase("gon|wan")})(?=${anyCase("na")}$)` +
    `|${anyCase("got")}(?=${anyCase("ta")}$)|(?:${NOT_ENDINGS})(?=${anyCase("nt")}$)|[iI](?=(?:${anyCase("m|ve")})$))`,
);
const SENTENCE_END = /^(?:[.!?]*[.!?]|\xe2\x80\xa6|\xe3\x80\x82)$/;
const CLOSING = new Set(['"', "'", "''", ")", "]", "\xe2\x80\x99", "\xe2\x80\x9d", "\xc2\xbb"]);

const LONGEST_SHAPE = 8;

class BytesRule {
  /** The sentences of a text: for each word its first byte, and the one after its last. */
  split(bytes) {
    const text = toBinary(bytes);
    const sentences = [];
    let sentence = [];
    let isOver = false; // whether its punctuation has ended the sentence
    for (const [start, end] of splitWords(text)) {
      const word = text.slice(start, end);
      const between = sentence.length ? text.slice(sentence[sentence.length - 1][1], start) : "";
      const isClosing = isOver && !between && CLOSING.has(word);
      if (/[\n\r]/.test(between) || (isOver && between && !/^[a-z]/.test(word))) {
        sentences.push(sentence);
        [sentence, isOver] = [[], false];
      }
      sentence.push([start, end]);
      isOver = isClosing || SENTENCE_END.test(word);
    }
    return sentence.length ? [...sentences, sentence] : sentences;
  }

  /** What is looked up in the vocabulary, as binary strings: the lowered word, and its features. */
  toTokens(bytes, slots) {
    const word = toBinary(bytes);
    const lowered = word.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
    const characters = lowered.match(/[^][\x80-\xbf]*/g);
    const values = slots.map((slot) => {
      if (slot === "SHAPE") return toShape(word);
      const count = Number(slot.slice(-1));
      return (slot.startsWith("SUFFIX") ? characters.slice(-count) : characters.slice(0, count)).join("");
    });
    return [lowered, ...values.map((value, i) => `${slots[i]}=${value}`)];
  }
}

function* splitWords(text) {
  const spaced = text.replace(WIDE_SPACE, (space) => " ".repeat(space.length));
  for (const match of spaced.matchAll(WORD)) {
    const [word] = match;
    const before = word.startsWith("http") || word.startsWith("www.") ? null : BEFORE_ENDING.exec(word);
    const cut = match.index + (before ? before[0].length : 0);
    if (before) yield [match.index, cut];
    yield [cut, match.index + word.length];
  }
}

function toShape(word) {
  const shape = word
    .replace(/[A-Z]/g, "X")
    .replace(/[a-z]/g, "x")
    .replace(/[0-9]/g, "d")
    .replace(/[\x80-\xff]/g, "u");
  return shape.replace(/([^])\1\1+/g, "$1$1").slice(0, LONGEST_SHAPE);
}

/** Bytes as a string with one character for each. */
function toBinary(bytes) {
  const parts = [];
  for (let i = 0; i < bytes.length; i += 8192) parts.push(String.fromCharCode(...bytes.subarray(i, i + 8192)));
  return parts.join("");
}

export { BytesRule, toBinary };
