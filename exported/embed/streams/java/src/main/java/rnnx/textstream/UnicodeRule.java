package rnnx.textstream;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * The rule {@code unicode-14}: words of every script, by the kinds of characters.
 *
 * <p>A character continues the word before it if both are letters, or if it is a mark and the one before is a character
 * of a script without spaces, or such a mark. Any other character but a separator begins a word. A byte that is not UTF-8
 * is a character of its own.
 */
final class UnicodeRule implements Rule {
  private static final int NEAR_BYTES = 1 << 8;
  private static final int SEPARATOR = 0;
  private static final int WORD = 1;
  private static final int MARK = 2;
  private static final int SINGLE = 3;
  private static final int ALONE = 4;
  private static final int DROPPED = 5;
  private static final int[] LOWEST = {0, 0, 0x80, 0x800, 0x10000}; // of the characters of each size

  private final byte[] kinds; // of each character
  private final int[] shifts; // how far away the character is that replaces it in a word

  /** The characters of a text that are not dropped: their numbers, their kinds, and the first byte of each. */
  private static final class Characters {
    final int[] codes;
    final byte[] kinds;
    final int[] starts;
    int count;

    Characters(int most) {
      codes = new int[most];
      kinds = new byte[most];
      starts = new int[most];
    }
  }

  /** Takes the runs of the table in config.json, and whether {@code !} and {@code ?} are words. */
  UnicodeRule(JsonArray runs, boolean marks) {
    int count = 0;
    for (JsonElement run : runs) {
      count += run.getAsJsonArray().get(0).getAsInt();
    }
    kinds = new byte[count];
    shifts = new int[count];
    int code = 0;
    for (JsonElement element : runs) {
      JsonArray run = element.getAsJsonArray();
      byte kind = run.get(1).getAsByte();
      int shift = run.get(2).getAsInt();
      for (int end = code + run.get(0).getAsInt(); code < end; code++) {
        int written = code + shift;
        boolean isMark = !marks && kind != DROPPED && (written == '!' || written == '?');
        kinds[code] = isMark ? SEPARATOR : kind;
        shifts[code] = shift;
      }
    }
  }

  @Override
  public List<String> toWords(byte[] text) {
    Characters read = read(text, 0, text.length);
    var words = new ArrayList<String>();
    var word = new StringBuilder();
    for (int i = 0; i < read.count; i++) {
      if (!continues(i > 0 ? read.kinds[i - 1] : SEPARATOR, read.kinds[i])) {
        addTo(words, word);
      }
      if (read.kinds[i] != SEPARATOR) {
        word.appendCodePoint(read.codes[i] + shifts[read.codes[i]]);
      }
    }
    addTo(words, word);
    return words;
  }

  private static void addTo(List<String> words, StringBuilder word) {
    if (word.length() > 0) {
      words.add(new String(word.toString().getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1));
      word.setLength(0);
    }
  }

  @Override
  public int findEnd(byte[] text) {
    int whole = text.length - countUnfinished(text);
    for (long size = NEAR_BYTES; ; size *= 8) {
      int start = align(text, (int) Math.max(0, whole - size));
      Characters read = read(text, start, Math.max(start, whole));
      int last = read.count - 1;
      if (last >= 0 && (read.kinds[last] == SEPARATOR || read.kinds[last] == ALONE)) {
        return whole;
      }
      // What the first character of a part of the text does depends on the one before it.
      for (int i = last; i >= (start > 0 ? 1 : 0); i--) {
        if (!continues(i > 0 ? read.kinds[i - 1] : SEPARATOR, read.kinds[i])) {
          return read.starts[i];
        }
      }
      if (start == 0) {
        return whole; // no character, or only dropped ones
      }
    }
  }

  @Override
  public byte[] shorten(byte[] text, int most) {
    if (text.length <= most) {
      return text;
    }
    int whole = text.length - countUnfinished(text);
    String words = String.join(" ", toWords(Arrays.copyOf(text, whole)));
    byte[] word = words.substring(0, Math.min(words.length(), most)).getBytes(StandardCharsets.ISO_8859_1);
    int kept = word.length - countUnfinished(word);
    byte[] shortened = Arrays.copyOf(word, kept + text.length - whole);
    System.arraycopy(text, whole, shortened, kept, text.length - whole);
    return shortened;
  }

  private Characters read(byte[] text, int start, int end) {
    var read = new Characters(end - start);
    for (int i = start; i < end;) {
      int size = sizeAt(text, i, end);
      int code = size == 1 ? text[i] & 0xff : decode(text, i, size);
      byte kind = code < kinds.length ? kinds[code] : SEPARATOR;
      if (kind != DROPPED) {
        read.codes[read.count] = code;
        read.kinds[read.count] = kind;
        read.starts[read.count++] = i;
      }
      i += size;
    }
    return read;
  }

  private static boolean continues(int before, int kind) {
    return (kind == WORD && before == WORD) || (kind == MARK && (before == SINGLE || before == MARK));
  }

  /** The size of the character at a byte. A byte that is not UTF-8 is a character of its own. */
  private static int sizeAt(byte[] text, int i, int end) {
    int size = sizeOf(text[i] & 0xff);
    if (size == 1 || i + size > end) {
      return 1;
    }
    for (int k = i + 1; k < i + size; k++) {
      if ((text[k] & 0xc0) != 0x80) {
        return 1;
      }
    }
    int code = decode(text, i, size);
    return code > Character.MAX_CODE_POINT || code < LOWEST[size] ? 1 : size;
  }

  private static int decode(byte[] text, int i, int size) {
    int code = text[i] & (0x7f >> size);
    for (int k = i + 1; k < i + size; k++) {
      code = (code << 6) | (text[k] & 0x3f);
    }
    return code;
  }

  /** The size of the character that a byte begins; 1 if it begins none. */
  private static int sizeOf(int lead) {
    if (lead < 0xc2 || lead > 0xf4) {
      return 1;
    }
    return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  }

  /** How many bytes, 0 to 3, at the end of a text begin a character and do not end it. */
  private static int countUnfinished(byte[] text) {
    for (int count = 1; count <= Math.min(3, text.length); count++) {
      int b = text[text.length - count] & 0xff;
      if ((b & 0xc0) != 0x80) {
        return sizeOf(b) > count ? count : 0;
      }
    }
    return 0;
  }

  /** The first offset from {@code start} on that cannot be within a character. */
  private static int align(byte[] text, int start) {
    int end = start;
    while (start > 0 && end < Math.min(start + 3, text.length) && (text[end] & 0xc0) == 0x80) {
      end++;
    }
    return end;
  }
}
