// Where the words of a text end, in bytes: for drawing alone; the model finds its words itself.

const BREAK = [..."<br />"].map((c) => c.charCodeAt(0));

const isWordByte = (b) =>
  b >= 0x80 || (b >= 0x61 && b <= 0x7a) || (b >= 0x41 && b <= 0x5a) || (b >= 0x30 && b <= 0x39) || b === 0x27;

const isBreakAt = (bytes, i) => BREAK.every((b, k) => bytes[i + k] === b);

/** Starts and ends of the words, as two arrays of numbers. */
export function findWords(bytes, stripBreaks) {
  const starts = [];
  const ends = [];
  for (let i = 0; i < bytes.length; ) {
    if (stripBreaks && bytes[i] === BREAK[0] && isBreakAt(bytes, i)) {
      i += BREAK.length;
    } else if (isWordByte(bytes[i])) {
      starts.push(i);
      while (i < bytes.length && isWordByte(bytes[i])) i++;
      ends.push(i);
    } else {
      i++;
    }
  }
  return { starts, ends };
}

/** At most `most` of 0 .. count - 1, evenly spaced, the last one among them. */
export function choose(count, most) {
  if (count <= most) return Array.from({ length: count }, (_, i) => i);
  return Array.from({ length: most }, (_, i) => Math.round(((i + 1) * count) / most) - 1);
}
