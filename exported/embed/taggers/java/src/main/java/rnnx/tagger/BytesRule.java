package rnnx.tagger;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The rule {@code bytes}: splits a text as English treebanks do, and gives the features of words.
 *
 * <p>Everything is defined on bytes. Where a repeated group can be possessive without another result, it is: Java's
 * other loops of groups need the stack.
 */
final class BytesRule implements Rule {
  // White space that is not ASCII: the no-break space, spaces of fixed width, line and paragraph separators, the CJK
  // space, and the byte order mark.
  private static final Pattern WIDE_SPACE =
      Pattern.compile("\\xc2\\xa0|\\xe2\\x80[\\x80-\\x8b\\xa8\\xa9\\xaf]|\\xe3\\x80\\x80|\\xef\\xbb\\xbf");
  // Punctuation that is not ASCII: inverted marks, guillemets, the middle dot; dashes, quotes, the ellipsis; the CJK
  // full stop and comma.
  private static final String WIDE_SIGN =
      "(?:\\xc2[\\xa1\\xab\\xb7\\xbb\\xbf]|\\xe2\\x80[\\x90-\\xbf]|\\xe3\\x80[\\x81\\x82])";
  private static final String LETTER = "(?:[A-Za-z0-9_]|(?!" + WIDE_SIGN + ")[\\x80-\\xff])";
  private static final String APOSTROPHE = "(?:'|\\xe2\\x80\\x99)";
  private static final String NOT_BEFORE_LETTER = "(?!" + LETTER + ")";
  private static final String ABBREVIATIONS =
      "(?i:dr|mr|mrs|ms|st|ft|mt|jr|sr|vs|etc|inc|corp|co|ltd|gen|lt|col|sgt|rev|gov|sen|rep|prof|no|dept|approx|ave|"
          + "jan|feb|aug|sept|sep|oct|nov|dec|mon|tues|wed|thurs|fri|sat)";
  private static final String PREFIXES =
      "(?i:e|co|pre|non|re|anti|multi|post|semi|sub|un|ex|mid|inter|counter|pro|bi|neo|ultra|mini)";
  private static final String UNITS = "(?i:am|pm|k|m|b|bn|mm|cm|km|ft|kg|lbs?|hz|mhz|ghz|x)";
  // The first pattern that matches is a word.
  private static final Pattern WORD = Pattern.compile(String.join("|",
      "(?:(?:https?|ftp)://|www\\.)[^\\s<>\"]*[^\\s<>\".,;:!?)\\]']",
      "[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9-]+(?:\\.[A-Za-z0-9-]++)*+",
      "[:;=]['-]?[()DPp]+" + NOT_BEFORE_LETTER,
      "(?:[A-Za-z]\\.){2,}+|[A-Z]\\.(?=\\s)|" + ABBREVIATIONS + "\\.",
      "[0-9]++(?:[.,:/][0-9]++)*+(?=" + UNITS + NOT_BEFORE_LETTER + ")",
      "[0-9]{3}-(?:[0-9]{3}-)?[0-9]{4}" + NOT_BEFORE_LETTER,
      "\\.?[0-9]++(?:[.,:/][0-9]++" + NOT_BEFORE_LETTER + ")++",
      "[A-Z]+&[A-Z]+" + NOT_BEFORE_LETTER,
      "(?:" + PREFIXES + "-)?" + LETTER + "++(?:(?:\\.|" + APOSTROPHE + ")" + LETTER + "++)*+",
      APOSTROPHE + "(?i:s|m|ll|ve|re|d)" + NOT_BEFORE_LETTER,
      "[.!?]{2,}|\\xe2\\x80\\xa6",
      "([!-/:-@\\[-^`{-~])\\1++",
      "(" + WIDE_SIGN + ")\\2*+",
      "\\S"));
  // The part of a word before an ending that is a word of its own.
  private static final Pattern BEFORE_ENDING = Pattern.compile(
      "(?is)(?:.*[a-z\\x80-\\xff](?=n" + APOSTROPHE + "t\\z)|.+(?=" + APOSTROPHE + "(?:s|m|ll|ve|re|d)\\z)"
          + "|can(?=not\\z)|(?:gon|wan)(?=na\\z)|got(?=ta\\z)"
          + "|(?:do|does|did|ca|wo|is|was|would|could|should|has|have)(?=nt\\z)|i(?=m\\z|ve\\z))");
  private static final Pattern SENTENCE_END = Pattern.compile("[.!?]*[.!?]|\\xe2\\x80\\xa6|\\xe3\\x80\\x82");
  private static final Set<String> CLOSING =
      Set.of("\"", "'", "''", ")", "]", "\u00e2\u0080\u0099", "\u00e2\u0080\u009d", "\u00c2\u00bb");
  private static final Pattern CHARACTER = Pattern.compile("(?s:.)[\\x80-\\xbf]*");
  private static final Pattern THREE_IN_A_ROW = Pattern.compile("(?s)(.)\\1\\1+");
  private static final int LONGEST_SHAPE = 8;

  @Override
  public List<List<Span>> split(byte[] bytes) {
    String text = new String(bytes, StandardCharsets.ISO_8859_1);
    var sentences = new ArrayList<List<Span>>();
    var sentence = new ArrayList<Span>();
    boolean isOver = false; // whether its punctuation has ended the sentence
    for (Span span : splitWords(text)) {
      String word = text.substring(span.start(), span.end());
      String between = sentence.isEmpty() ? "" : text.substring(sentence.get(sentence.size() - 1).end(), span.start());
      boolean isClosing = isOver && between.isEmpty() && CLOSING.contains(word);
      boolean isSmall = word.charAt(0) >= 'a' && word.charAt(0) <= 'z';
      if (between.indexOf('\n') >= 0 || between.indexOf('\r') >= 0 || (isOver && !between.isEmpty() && !isSmall)) {
        sentences.add(sentence);
        sentence = new ArrayList<>();
        isOver = false;
      }
      sentence.add(span);
      isOver = isClosing || SENTENCE_END.matcher(word).matches();
    }
    if (!sentence.isEmpty()) {
      sentences.add(sentence);
    }
    return sentences;
  }

  @Override
  public List<String> toTokens(byte[] bytes, List<String> slots) {
    String word = new String(bytes, StandardCharsets.ISO_8859_1);
    String lowered = map(word, c -> c >= 'A' && c <= 'Z' ? (char) (c + 32) : c);
    List<String> characters = CHARACTER.matcher(lowered).results().map(match -> match.group()).toList();
    var tokens = new ArrayList<String>(List.of(lowered));
    for (String slot : slots) {
      tokens.add(slot + "=" + (slot.equals("SHAPE") ? toShape(word) : cut(characters, slot)));
    }
    return tokens;
  }

  /** The first or the last characters of a word, as many as the name of a slot says. */
  static String cut(List<String> characters, String slot) {
    int count = Math.min(characters.size(), slot.charAt(slot.length() - 1) - '0');
    int from = slot.startsWith("SUFFIX") ? characters.size() - count : 0;
    return String.join("", characters.subList(from, from + count));
  }

  private static String toShape(String word) {
    String shape = map(word, c -> {
      if (c >= 'A' && c <= 'Z') {
        return 'X';
      }
      if (c >= 'a' && c <= 'z') {
        return 'x';
      }
      return c >= '0' && c <= '9' ? 'd' : c >= 0x80 ? 'u' : c;
    });
    String shortened = THREE_IN_A_ROW.matcher(shape).replaceAll("$1$1");
    return shortened.substring(0, Math.min(LONGEST_SHAPE, shortened.length()));
  }

  private static List<Span> splitWords(String text) {
    String spaced = WIDE_SPACE.matcher(text).replaceAll(match -> " ".repeat(match.group().length()));
    var words = new ArrayList<Span>();
    Matcher matcher = WORD.matcher(spaced);
    while (matcher.find()) {
      String word = matcher.group();
      int cut = matcher.start();
      Matcher before = BEFORE_ENDING.matcher(word);
      if (!word.startsWith("http") && !word.startsWith("www.") && before.lookingAt()) {
        cut += before.end();
        words.add(new Span(matcher.start(), cut));
      }
      words.add(new Span(cut, matcher.end()));
    }
    return words;
  }

  private interface CharMap {
    char apply(char c);
  }

  private static String map(String text, CharMap change) {
    char[] characters = text.toCharArray();
    for (int i = 0; i < characters.length; i++) {
      characters[i] = change.apply(characters[i]);
    }
    return new String(characters);
  }
}
