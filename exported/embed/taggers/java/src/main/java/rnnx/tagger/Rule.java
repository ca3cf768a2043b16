package rnnx.tagger;

import java.util.List;

/** Splits texts, and says what is looked up for a word. Bytes are strings with one character for each (Latin-1). */
interface Rule {
  /** The first byte of a word, and the one after its last. */
  record Span(int start, int end) {}

  /** Returns the sentences of a text: its words, at least one in each. */
  List<List<Span>> split(byte[] text);

  /** Returns what is looked up in the vocabulary, each as a string of bytes: the lowered word, and its features. */
  List<String> toTokens(byte[] word, List<String> slots);
}
