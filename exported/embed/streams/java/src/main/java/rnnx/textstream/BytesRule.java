package rnnx.textstream;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The rule {@code bytes}: ASCII letters are lowered, and a word is a run of [a-z0-9'] and bytes from 0x80 on. */
final class BytesRule implements Rule {
  @Override
  public List<String> toWords(byte[] text) {
    var words = new ArrayList<String>();
    int start = 0;
    for (int i = 0; i <= text.length; i++) {
      if (i < text.length && isInWord(text[i])) {
        continue;
      }
      if (i > start) {
        words.add(lower(text, start, i));
      }
      start = i + 1;
    }
    return words;
  }

  @Override
  public int findEnd(byte[] text) {
    int end = text.length;
    while (end > 0 && isInWord(text[end - 1])) {
      end--;
    }
    return end;
  }

  @Override
  public byte[] shorten(byte[] text, int most) {
    return Arrays.copyOf(text, Math.min(text.length, most));
  }

  private static String lower(byte[] text, int start, int end) {
    byte[] word = Arrays.copyOfRange(text, start, end);
    for (int i = 0; i < word.length; i++) {
      if (word[i] >= 'A' && word[i] <= 'Z') {
        word[i] += 'a' - 'A';
      }
    }
    return new String(word, StandardCharsets.ISO_8859_1);
  }

  private static boolean isInWord(byte b) {
    int lowered = b | 0x20;
    return b < 0 || (lowered >= 'a' && lowered <= 'z') || (b >= '0' && b <= '9') || b == '\'';
  }
}
