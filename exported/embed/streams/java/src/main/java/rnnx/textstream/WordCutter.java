package rnnx.textstream;

import com.google.gson.JsonObject;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

/**
 * Cuts a text that comes in chunks into words: the same ones as in the whole text. It holds no text itself.
 *
 * <p>A chunk may end anywhere, also within a character. What may go on in the next chunk is held back: a word, the
 * beginning of a character, or the beginning of a possible {@code <br />}.
 */
final class WordCutter {
  private static final byte[] BREAK = "<br />".getBytes(StandardCharsets.US_ASCII);
  private static final int MOST_HELD = 1 << 16; // bytes of an unfinished word; no vocabulary has a longer one
  private static final int CHARACTER_BYTES = 4;

  private final Rule rule;
  private final boolean stripsBreaks;
  private final int mostHeld;

  /** The words that a chunk finished, and what is held back. */
  record Cut(List<String> words, byte[] held) {}

  /** Takes config.json, and the length of the longest word of the vocabulary. */
  WordCutter(JsonObject config, int longest) {
    JsonObject tokenizer = config.getAsJsonObject("tokenizer");
    String name = tokenizer.has("rule") ? tokenizer.get("rule").getAsString() : "bytes";
    if (name.equals("bytes")) {
      rule = new BytesRule();
    } else if (name.equals("unicode-14") && config.has("characters")) {
      boolean marks = tokenizer.has("marks") && tokenizer.get("marks").getAsBoolean();
      rule = new UnicodeRule(config.getAsJsonObject("characters").getAsJsonArray("runs"), marks);
    } else {
      throw new StreamException("this package does not know the rule " + name, null);
    }
    stripsBreaks = tokenizer.get("strip_breaks").getAsBoolean();
    mostHeld = Math.max(longest + CHARACTER_BYTES, MOST_HELD);
  }

  /** Takes what was held back before, and a chunk. */
  Cut feed(byte[] held, byte[] chunk) {
    byte[] text = Arrays.copyOf(held, held.length + chunk.length);
    System.arraycopy(chunk, 0, text, held.length, chunk.length);
    int end = findEnd(text);
    byte[] rest = Arrays.copyOfRange(text, end, text.length);
    return new Cut(finish(Arrays.copyOf(text, end)), rule.shorten(rest, mostHeld));
  }

  /** The words of what was held back, when the text has ended. */
  List<String> finish(byte[] held) {
    return rule.toWords(stripsBreaks ? withoutBreaks(held) : held);
  }

  private int findEnd(byte[] text) {
    for (int size = BREAK.length - 1; stripsBreaks && size > 0; size--) {
      if (isBreakAt(text, text.length - size, size)) {
        return text.length - size; // a word before `<` is finished
      }
    }
    return rule.findEnd(text);
  }

  private static byte[] withoutBreaks(byte[] text) {
    byte[] spaced = text.clone();
    for (int i = 0; i + BREAK.length <= text.length; i++) {
      if (isBreakAt(text, i, BREAK.length)) {
        Arrays.fill(spaced, i, i + BREAK.length, (byte) ' ');
      }
    }
    return spaced;
  }

  private static boolean isBreakAt(byte[] text, int at, int size) {
    return at >= 0 && Arrays.equals(text, at, at + size, BREAK, 0, size);
  }
}
