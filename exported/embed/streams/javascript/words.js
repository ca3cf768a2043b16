// Cuts a text that comes in chunks into words: the same ones as in the whole text.
//
// A chunk may end anywhere, also within a character. What may go on in the next chunk is held back: a word, the
// beginning of a character, or the beginning of a possible `<br />`. Words are binary strings, one character a byte.

const BREAK = [..."<br />"].map((character) => character.charCodeAt(0));
const MOST_HELD = 1 << 16; // bytes of an unfinished word; no vocabulary has a longer one
const CHARACTER_BYTES = 4;
const NEAR_BYTES = 1 << 8;
const [SEPARATOR, WORD, MARK, SINGLE, ALONE, DROPPED] = [0, 1, 2, 3, 4, 5];

/** Cuts a text into words as it comes. It holds no text itself. */
class WordCutter {
  /** Takes the settings of the tokenizer, the table of characters if the rule needs it, and the longest word. */
  constructor({ rule = "bytes", marks = false, strip_breaks: stripsBreaks }, runs, longest) {
    if (rule !== "bytes" && !(rule === "unicode-14" && runs)) {
      throw new RangeError(`this package does not know the rule ${rule}`);
    }
    this.rule = rule === "bytes" ? new BytesRule() : new UnicodeRule(runs, marks);
    this.stripsBreaks = stripsBreaks;
    this.mostHeld = Math.max(longest + CHARACTER_BYTES, MOST_HELD);
  }

  /** Takes a chunk, and what was held back before. Returns the words that it finishes, and what is held back now. */
  feed(held, chunk) {
    const text = new Uint8Array(held.length + chunk.length);
    text.set(held);
    text.set(chunk, held.length);
    const end = this.findEnd(text);
    return [this.finish(text.subarray(0, end)), this.rule.shorten(text.subarray(end), this.mostHeld)];
  }

  /** The words of what was held back, when the text has ended. */
  finish(held) {
    return this.rule.toWords(this.stripsBreaks ? withoutBreaks(held) : held);
  }

  findEnd(text) {
    for (let size = BREAK.length - 1; this.stripsBreaks && size > 0; size--) {
      if (isBreakAt(text, text.length - size, size)) return text.length - size; // a word before `<` is finished
    }
    return this.rule.findEnd(text);
  }
}

/** ASCII letters are lowered, and a word is a run of `[a-z0-9']` and bytes from 0x80 on. */
class BytesRule {
  toWords(text) {
    const words = [];
    let start = -1;
    for (let i = 0; i <= text.length; i++) {
      const isIn = i < text.length && isWordByte(text[i]);
      if (isIn && start < 0) start = i;
      if (!isIn && start >= 0) {
        words.push(toBinary(text.subarray(start, i)).replace(/[A-Z]+/g, (letters) => letters.toLowerCase()));
        start = -1;
      }
    }
    return words;
  }

  findEnd(text) {
    let end = text.length;
    while (end > 0 && isWordByte(text[end - 1])) end--;
    return end;
  }

  shorten(text, most) {
    return text.slice(0, most);
  }
}

/**
 * Words of every script, by the kinds of characters.
 *
 * A character continues the word before it if both are letters, or if it is a mark and the one before is a character of
 * a script without spaces, or such a mark. Any other character but a separator begins a word.
 */
class UnicodeRule {
  constructor(runs, marks) {
    [this.kinds, this.shifts] = readTable(runs, marks);
  }

  toWords(text) {
    const words = [];
    let before = SEPARATOR;
    for (const [code, kind] of this.read(text)) {
      if (kind !== SEPARATOR) {
        const written = String.fromCodePoint(code + this.shifts[code]);
        if (continues(before, kind)) words[words.length - 1] += written;
        else words.push(written);
      }
      before = kind;
    }
    const encoder = new TextEncoder();
    return words.map((word) => toBinary(encoder.encode(word)));
  }

  findEnd(text) {
    const whole = text.length - countUnfinished(text);
    for (let size = NEAR_BYTES; ; size *= 8) {
      const start = align(text, Math.max(0, whole - size));
      const found = [...this.read(text.subarray(start, whole))];
      if (found.length && [SEPARATOR, ALONE].includes(found[found.length - 1][1])) return whole;
      // What the first character of a part of the text does depends on the one before it.
      for (let i = found.length - 1; i >= (start ? 1 : 0); i--) {
        if (!continues(i ? found[i - 1][1] : SEPARATOR, found[i][1])) return start + found[i][2];
      }
      if (start === 0) return whole; // no character, or only dropped ones
    }
  }

  shorten(text, most) {
    if (text.length <= most) return text.slice();
    const whole = text.length - countUnfinished(text);
    const word = Uint8Array.from(this.toWords(text.subarray(0, whole)).join(" ").slice(0, most), (c) => c.charCodeAt(0));
    return Uint8Array.from([...word.subarray(0, word.length - countUnfinished(word)), ...text.subarray(whole)]);
  }

  /** Yields the number, the kind and the first byte of each character that is not dropped. */
  *read(text) {
    for (let i = 0; i < text.length; ) {
      const [code, size] = decode(text, i);
      const kind = code < this.kinds.length ? this.kinds[code] : SEPARATOR;
      if (kind !== DROPPED) yield [code, kind, i];
      i += size;
    }
  }
}

/** The kind of each character, and how far away the character is that replaces it in a word. */
function readTable(runs, marks) {
  const count = runs.reduce((sum, [length]) => sum + length, 0);
  const [kinds, shifts] = [new Uint8Array(count), new Int32Array(count)];
  let code = 0;
  for (const [length, kind, shift] of runs) {
    for (const end = code + length; code < end; code++) {
      const isMark = !marks && kind !== DROPPED && (code + shift === 0x21 || code + shift === 0x3f);
      kinds[code] = isMark ? SEPARATOR : kind;
      shifts[code] = shift;
    }
  }
  return [kinds, shifts];
}

const isBreakAt = (text, at, size) => at >= 0 && BREAK.slice(0, size).every((byte, k) => text[at + k] === byte);

function withoutBreaks(text) {
  const spaced = text.slice();
  for (let i = 0; i + BREAK.length <= text.length; i++) {
    if (isBreakAt(text, i, BREAK.length)) spaced.fill(0x20, i, i + BREAK.length);
  }
  return spaced;
}

function isWordByte(byte) {
  const lowered = byte | 0x20;
  return byte >= 0x80 || (lowered >= 0x61 && lowered <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte === 0x27;
}

const continues = (before, kind) =>
  (kind === WORD && before === WORD) || (kind === MARK && (before === SINGLE || before === MARK));

/** The size of the character that a byte begins; 1 if it begins none. */
const sizeOf = (lead) => (lead < 0xc2 || lead > 0xf4 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4);

/** The number and the size of the character at a byte. A byte that is not UTF-8 is a character of its own. */
function decode(text, i) {
  const size = sizeOf(text[i]);
  if (size === 1 || i + size > text.length) return [text[i], 1];
  let code = text[i] & (0x7f >> size);
  for (let k = i + 1; k < i + size; k++) {
    if ((text[k] & 0xc0) !== 0x80) return [text[i], 1];
    code = (code << 6) | (text[k] & 0x3f);
  }
  return code > 0x10ffff || code < [0, 0, 0x80, 0x800, 0x10000][size] ? [text[i], 1] : [code, size];
}

/** How many bytes, 0 to 3, at the end of a text begin a character and do not end it. */
function countUnfinished(text) {
  for (let count = 1; count <= Math.min(3, text.length); count++) {
    const byte = text[text.length - count];
    if ((byte & 0xc0) !== 0x80) return sizeOf(byte) > count ? count : 0;
  }
  return 0;
}

/** The first offset from `start` on that cannot be within a character. */
function align(text, start) {
  let end = start;
  while (start && end < Math.min(start + 3, text.length) && (text[end] & 0xc0) === 0x80) end++;
  return end;
}

/** Bytes as a string with one character for each. */
function toBinary(bytes) {
  const parts = [];
  for (let i = 0; i < bytes.length; i += 8192) parts.push(String.fromCharCode(...bytes.subarray(i, i + 8192)));
  return parts.join("");
}

export { WordCutter, toBinary };
