package rnnx.textclassifier;

import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;

/** Strings as bytes. */
final class Utf8 {
  private static final byte[] REPLACEMENT = "\ufffd".getBytes(StandardCharsets.UTF_8);

  private Utf8() {}

  /** Encodes a string. Half a pair of surrogates is the character U+FFFD, as in JavaScript; Java's own is a "?". */
  static byte[] encode(String text) {
    var encoder = StandardCharsets.UTF_8.newEncoder()
        .onMalformedInput(CodingErrorAction.REPLACE).replaceWith(REPLACEMENT);
    try {
      ByteBuffer buffer = encoder.encode(CharBuffer.wrap(text));
      var bytes = new byte[buffer.remaining()];
      buffer.get(bytes);
      return bytes;
    } catch (CharacterCodingException error) {
      throw new IllegalStateException(error); // cannot happen: UTF-8 has every character
    }
  }
}
