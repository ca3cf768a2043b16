package rnnx.textstream;

import java.util.List;

/** Finds words. A word is a string with one character for each byte (Latin-1), as the vocabulary has it. */
interface Rule {
  /** Returns the words of a text. */
  List<String> toWords(byte[] text);

  /** Returns the length of the part whose words stay the same, no matter which bytes follow. */
  int findEnd(byte[] text);

  /** Shortens the beginning of a single word to about as many bytes. */
  byte[] shorten(byte[] text, int most);
}
