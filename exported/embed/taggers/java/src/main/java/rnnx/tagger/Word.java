package rnnx.tagger;

/**
 * A word of a text with its tag.
 *
 * @param text the word as it is in the text; of a text in bytes, what is not UTF-8 is U+FFFD
 * @param start where it starts: {@code text.substring(start, end)} is the word, or the bytes from start to end
 * @param end where it ends
 * @param tag its most probable tag
 * @param probability the probability of that tag
 */
public record Word(String text, int start, int end, String tag, float probability) {}
