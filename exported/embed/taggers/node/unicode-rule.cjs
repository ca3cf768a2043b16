// The rule `unicode-14`: splits a text of any script into sentences and words, and gives the features of words.
//
// The table in config.json says of each character how it is lowered, and its classes for splitting and for the shape of
// a word. Bytes that are not UTF-8 are the characters of their own numbers.
"use strict";

const { toBinary } = require("./bytes-rule.cjs");

// The classes of characters outside ASCII. Each is a character of the class itself.
const [CAPITAL, SMALL, CASELESS, SINGLE, KATAKANA, JOIN, SYMBOL] = "\xc0\xe0\u05d0\u4e2d\u30ab\u0e31\u263a";
const [WIDE_MARK, WIDE_STOP, ELLIPSIS, APOSTROPHE] = "\uff01\u3002\u2026'";
const CLOSING = new Set("\"')]}\u2019\u201d\u00bb\u203a\uff09\uff3d\uff5d\u300d\u300f\u3011\u300b\u3009\u3015\uff63");
const SPACE = "\\t-\\r\\x1c-\\x20";
const IS_SPACE = new RegExp(`[${SPACE}]`);
const LETTERS = `A-Za-z0-9_${CAPITAL}${SMALL}${CASELESS}`;
const IS_LETTER = new RegExp(`^[${LETTERS}]`);
const NOT_BEFORE_LETTER = `(?![${LETTERS}])`;
const ADDRESS = `[^${SPACE}<>"${SINGLE}${KATAKANA}${JOIN}${WIDE_MARK}${WIDE_STOP}${ELLIPSIS}]`;
const HYPHENS = "\\-\u2010\u2011";
const SENTENCE_END = new RegExp(
  `^(?:[.!?${WIDE_MARK}]*[.!?${WIDE_MARK}]|${ELLIPSIS}+|${WIDE_STOP}+)$`,
);
// Of the lowered characters: those that Python's str.isdigit knows.
const DIGITS =
  /^[0-9\u{1369}-\u{1371}\u{19da}\u{2474}-\u{247c}\u{2488}-\u{2490}\u{24f5}-\u{24fd}\u{24ff}\u{2776}-\u{277e}\u{2780}-\u{2788}\u{278a}-\u{2792}\u{10a40}-\u{10a43}\u{10e60}-\u{10e68}\u{11052}-\u{1105a}\u{1f100}-\u{1f10a}]+$/u;

const [SEPARATOR, DROPPED] = [0, 5];
const LONGEST_SHAPE = 8;

/** The first pattern that matches is a word. */
function makePattern(joiners) {
  const patterns = [
    `(?:[hH][tT][tT][pP][sS]?://|[fF][tT][pP]://|[wW][wW][wW]\\.)${ADDRESS}*(?<![.,;:!?)\\]'])`,
    "[A-Za-z0-9._+\\-]{1,64}@[A-Za-z0-9\\-]+(?:\\.[A-Za-z0-9\\-]+)*",
    `[:;=]['\\-]?[()DPp]+${NOT_BEFORE_LETTER}`,
    `(?:[A-Za-z${CAPITAL}${SMALL}${CASELESS}]\\.){2,}`,
    `[A-Z${CAPITAL}]\\.(?=[${SPACE}])`,
    `\\.?[0-9]+(?:[.,:/][0-9]+)+${NOT_BEFORE_LETTER}`,
    `[${LETTERS}]+(?:[${joiners}][${LETTERS}]+)*`,
    `[.!?${WIDE_MARK}]{2,}`,
    `${KATAKANA}[${KATAKANA}${JOIN}]*`,
    `[${SINGLE}${SYMBOL}]${JOIN}*`,
    `([^${SPACE}${LETTERS}])\\1*`,
  ];
  return new RegExp(patterns.join("|"), "gu");
}

class UnicodeRule {
  /** Takes the table of characters, and the words of the vocabulary, as binary strings, without special tokens. */
  constructor(table, words, joinsHyphens) {
    [this.lowered, this.classes, this.shapes] = readTable(table.runs);
    this.known = new Set(words.map(fromBinary));
    const lengths = new Map();
    this.longest = 0;
    for (const word of this.known) {
      const characters = [...word];
      if (!lengths.has(characters[0])) lengths.set(characters[0], new Set());
      lengths.get(characters[0]).add(characters.length);
      this.longest = Math.max(this.longest, characters.length);
    }
    this.lengths = new Map([...lengths].map(([first, found]) => [first, [...found].sort((a, b) => b - a)]));
    this.pattern = makePattern(APOSTROPHE + (joinsHyphens ? HYPHENS : ""));
  }

  /** The sentences of a text: for each word its first byte, and the one after its last. */
  split(bytes) {
    const sentences = [];
    for (let start = 0; start < bytes.length; ) {
      const newline = bytes.indexOf(0x0a, start); // no sentence is longer than a line
      const end = newline < 0 ? bytes.length : newline + 1;
      for (const sentence of this.splitLine(bytes.subarray(start, end))) {
        sentences.push(sentence.map(([first, last]) => [start + first, start + last]));
      }
      start = end;
    }
    return sentences;
  }

  /** What is looked up in the vocabulary, as binary strings: the lowered word, and its features. */
  toTokens(bytes, slots) {
    const codes = decode(bytes).map(([code]) => code);
    const written = codes.map((code) => this.lowered[code] ?? String.fromCodePoint(code));
    const isDropped = written.every((character) => !character);
    const lowered = isDropped ? codes.map((code) => String.fromCodePoint(code)) : written.filter((c) => c);
    const values = slots.map((slot) => {
      if (slot === "SHAPE") return this.toShape(codes, lowered);
      const count = Number(slot.slice(-1));
      return (slot.startsWith("SUFFIX") ? lowered.slice(-count) : lowered.slice(0, count)).join("");
    });
    return [lowered.join(""), ...values.map((value, i) => `${slots[i]}=${value}`)].map(encode);
  }

  toShape(codes, lowered) {
    const written = codes.map((code) => this.shapes[code] ?? String.fromCodePoint(code)).filter((c) => c);
    const shape = (written.length ? written : lowered).join("");
    return [...shape.replace(/([^])\1\1+/gu, "$1$1")].slice(0, LONGEST_SHAPE).join("");
  }

  splitLine(bytes) {
    const read = this.read(bytes);
    const sentences = [];
    let sentence = [];
    let [end, isOver, isWide] = [0, false, false]; // of the last word; whether its marks have ended the sentence
    for (const [first, last] of this.findWords(read)) {
      const between = read.classes.slice(end, first);
      const ofWord = read.classes.slice(first, last);
      const isClosing = isOver && !between.length && ofWord.every((character) => CLOSING.has(character));
      const isNew = isOver && !isClosing && beginsSentence(between, ofWord[0], isWide);
      if (sentence.length && (isNew || between.includes("\n") || between.includes("\r"))) {
        sentences.push(sentence);
        [sentence, isOver, isWide] = [[], false, false];
      }
      sentence.push([read.starts[first], read.ends[last - 1]]);
      if (!isClosing) {
        isOver = SENTENCE_END.test(ofWord.join(""));
        isWide = isOver && [WIDE_MARK, WIDE_STOP].includes(ofWord[ofWord.length - 1]);
      }
      end = last;
    }
    return sentence.length ? [...sentences, sentence] : sentences;
  }

  /** The characters that are not dropped: lowered, their classes, and where each starts and ends. */
  read(bytes) {
    const read = { lowered: [], classes: [], starts: [], ends: [] };
    let end = 0;
    for (const [code, size] of decode(bytes)) {
      end += size;
      const ofCharacter = this.classes[code] ?? String.fromCodePoint(code);
      if (!ofCharacter) continue;
      read.classes.push(ofCharacter);
      read.lowered.push(this.lowered[code] ?? String.fromCodePoint(code));
      read.starts.push(end - size);
      read.ends.push(end);
    }
    return read;
  }

  /** Yields the first character of each word and the one after its last. */
  *findWords(read) {
    const text = read.classes.join("");
    const units = [0]; // where each character starts in the string, which has two units for some
    for (const ofCharacter of read.classes) units.push(units[units.length - 1] + ofCharacter.length);
    const places = new Int32Array(text.length + 1);
    units.forEach((unit, place) => (places[unit] = place));
    const pattern = new RegExp(this.pattern); // with a place of its own
    let match;
    while ((match = pattern.exec(text))) {
      let place = places[match.index];
      const end = this.longestKnown(read, place, places[match.index + match[0].length]);
      for (const length of this.cut(read.lowered.slice(place, end))) {
        yield [place, place + length];
        place += length;
      }
      pattern.lastIndex = units[end];
    }
  }

  /** The end of the longest known word that begins at `start` and ends after `end`; else `end`. */
  longestKnown(read, start, end) {
    for (const length of this.lengths.get(read.lowered[start]) ?? []) {
      const last = start + length;
      if (last <= end) break;
      if (last > read.lowered.length) continue;
      const word = read.lowered.slice(start, last).join("");
      if (this.known.has(word) && !isTorn(read.classes, start, last) && !this.mayEndSentence(word)) return last;
    }
    return end;
  }

  /** Whether a word is another known word and a full stop, and not a number. */
  mayEndSentence(word) {
    return word.endsWith(".") && this.known.has(word.slice(0, -1)) && !DIGITS.test(word.slice(0, -1));
  }

  /** The lengths of the words that a word with an apostrophe consists of, or its own length. */
  cut(characters) {
    const size = characters.length;
    if (!characters.includes(APOSTROPHE) || this.known.has(characters.join(""))) return [size];
    const last = characters.lastIndexOf(APOSTROPHE);
    for (let cut = Math.max(1, size - this.longest); cut <= last; cut++) {
      if (this.known.has(characters.slice(cut).join(""))) return [cut, size - cut];
    }
    const after = characters.indexOf(APOSTROPHE) + 1;
    return after < size && this.known.has(characters.slice(0, after).join("")) ? [after, size - after] : [size];
  }
}

/** Reads the runs of the table: how a character is lowered, its class, and what the shape has for it. */
function readTable(runs) {
  const [lowered, classes, shapes] = [[], [], []];
  let code = 0;
  for (const [length, kind, shift, ofClass, ofShape] of runs) {
    for (const end = code + length; code < end; code++) {
      const itself = String.fromCodePoint(code);
      const replacement = String.fromCodePoint(code + shift);
      lowered.push(kind === DROPPED ? "" : kind === SEPARATOR ? itself : replacement);
      classes.push(ofClass === null ? itself : ofClass === true ? replacement : ofClass);
      shapes.push(ofShape === null ? itself : ofShape === true ? replacement : ofShape);
    }
  }
  return [lowered, classes, shapes];
}

/** Whether white space is in a part of a text, or letters or marks continue after it. */
function isTorn(classes, start, end) {
  if (classes.slice(start, end).some((c) => IS_SPACE.test(c))) return true;
  if (end >= classes.length) return false;
  return classes[end] === JOIN || (IS_LETTER.test(classes[end]) && IS_LETTER.test(classes[end - 1]));
}

/** Whether a word begins a sentence after one that has ended. */
function beginsSentence(between, initial, isWide) {
  if (isWide || initial === SINGLE || initial === KATAKANA) return true;
  return between.length > 0 && !(initial === SMALL || (initial >= "a" && initial <= "z"));
}

/** The characters of UTF-8, as their numbers and sizes. Other bytes are characters; encoded surrogates are spaces. */
function decode(bytes) {
  const characters = [];
  for (let i = 0; i < bytes.length; ) {
    const lead = bytes[i];
    const size = lead < 0xc2 || lead > 0xf4 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    let code = size === 1 ? lead : lead & (0x7f >> size);
    let isWhole = i + size <= bytes.length;
    for (let k = i + 1; isWhole && k < i + size; k++) {
      isWhole = (bytes[k] & 0xc0) === 0x80;
      code = (code << 6) | (bytes[k] & 0x3f);
    }
    if (!isWhole || code > 0x10ffff || code < [0, 0, 0x80, 0x800, 0x10000][size]) {
      characters.push([lead, 1]);
      i += 1;
    } else if (code >= 0xd800 && code < 0xe000) {
      characters.push([0x20, 1], [0x20, 1], [0x20, 1]);
      i += 3;
    } else {
      characters.push([code, size]);
      i += size;
    }
  }
  return characters;
}

const encode = (text) => toBinary(new TextEncoder().encode(text));

const fromBinary = (binary) =>
  new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(binary, (c) => c.charCodeAt(0)));

module.exports = { UnicodeRule };
