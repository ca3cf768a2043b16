// Where the words of a text are, in bytes. For drawing alone: the model finds its words itself.
//
// The rules are those of rnnx.text, by the name in config.json: `bytes`, or `unicode-14` and `unicode-14-marks` with the
// kinds of the characters in unicode-14.json. A MARK is a whole word or a separator, as the rule says.

const [SEPARATOR, WORD, JOIN, SINGLE, ALONE, DROPPED, MARK] = [0, 1, 2, 3, 4, 5, 6];
const BREAK = [..."<br />"].map((c) => c.charCodeAt(0));
const LOWER_A = 0x61;

const isBreakAt = (bytes, i) => bytes[i] === BREAK[0] && BREAK.every((b, k) => bytes[i + k] === b);

/**
 * Makes the function that finds the words of a text, as two arrays: where each starts, and where each ends.
 *
 * `tokenizer` is that of config.json, and `table` is unicode-14.json, which the rule `bytes` does not need.
 */
export function makeFinder(tokenizer, table) {
  const { rule = "bytes", strip_breaks: stripBreaks, marks = false } = tokenizer;
  if (rule === "bytes") return (bytes) => findWords(bytes, stripBreaks, readByte);
  if (rule !== "unicode-14" && rule !== "unicode-14-marks") {
    throw new Error(`this page does not know the tokenizer rule ${rule}`);
  }
  const readCharacter = makeCharacterReader(table, rule === "unicode-14-marks", marks);
  return (bytes) => findWords(bytes, stripBreaks, readCharacter);
}

/** `read(bytes, i)` returns the kind of the character at a byte, and the byte after it. */
function findWords(bytes, stripBreaks, read) {
  const starts = [];
  const ends = [];
  let before = SEPARATOR;
  for (let i = 0; i < bytes.length; ) {
    const [kind, end] = stripBreaks && isBreakAt(bytes, i) ? [SEPARATOR, i + BREAK.length] : read(bytes, i);
    if (kind !== DROPPED) {
      const continues =
        (kind === WORD && before === WORD) || (kind === JOIN && (before === SINGLE || before === JOIN));
      if (continues) {
        ends[ends.length - 1] = end;
      } else if (kind !== SEPARATOR) {
        starts.push(i);
        ends.push(end);
      }
      before = kind;
    }
    i = end;
  }
  return { starts, ends };
}

/** The rule `bytes`: ASCII letters, digits, apostrophes, and all other bytes from 0x80 on. */
function readByte(bytes, i) {
  const b = bytes[i];
  const lower = b | 0x20;
  const isWord = b >= 0x80 || (lower >= LOWER_A && lower < LOWER_A + 26) || (b >= 0x30 && b <= 0x39) || b === 0x27;
  return [isWord ? WORD : SEPARATOR, i + 1];
}

function makeCharacterReader(table, allMarks, someMarks) {
  const kindOfMarks = allMarks ? ALONE : SEPARATOR;
  const kinds = Uint8Array.from(
    table.runs.flatMap(([length, kind]) => Array(length).fill(kind === MARK ? kindOfMarks : kind)),
  );
  if (someMarks) for (const mark of table.marks) kinds[mark] = ALONE;
  return (bytes, i) => {
    const [code, end] = decode(bytes, i);
    return [code < kinds.length ? kinds[code] : SEPARATOR, end];
  };
}

/** The number of the character at a byte, and the byte after it. A byte that is not UTF-8 is a character of its own. */
function decode(bytes, i) {
  const lead = bytes[i];
  const size = lead < 0xc2 || lead > 0xf4 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (size > 1 && i + size <= bytes.length) {
    let code = lead & (0x7f >> size);
    let isWhole = true;
    for (let k = i + 1; k < i + size; k++) {
      isWhole &&= (bytes[k] & 0xc0) === 0x80;
      code = (code << 6) | (bytes[k] & 0x3f);
    }
    const least = [0, 0, 0x80, 0x800, 0x10000][size];
    if (isWhole && code >= least && code <= 0x10ffff) return [code, i + size];
  }
  return [lead, i + 1];
}

/** The first characters of a text in bytes, at most `most`. */
export function readFirst(bytes, most) {
  const text = new TextDecoder().decode(bytes.subarray(0, 4 * most)); // a character has at most four bytes
  return [...text].slice(0, most).join("");
}

/** The last characters of a text in bytes, at most `most`. */
export function readLast(bytes, most) {
  const text = new TextDecoder().decode(bytes.subarray(Math.max(0, bytes.length - 4 * most)));
  return [...text].slice(-most).join("");
}

/** At most `most` of 0 .. count - 1, evenly spaced, the last one among them. */
export function choose(count, most) {
  if (count <= most) return Array.from({ length: count }, (_, i) => i);
  return Array.from({ length: most }, (_, i) => Math.round(((i + 1) * count) / most) - 1);
}
