package rnnx.tagger;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The rule {@code unicode-14}: splits a text of any script, and gives the features of words.
 *
 * <p>The table in config.json says of each character how it is lowered, and its classes for splitting and for the shape
 * of a word. Bytes that are not UTF-8 are the characters of their own numbers.
 */
final class UnicodeRule implements Rule {
  // The classes of characters outside ASCII. Each is a character of the class itself.
  private static final String CAPITAL = "\u00c0";
  private static final String SMALL = "\u00e0";
  private static final String CASELESS = "\u05d0";
  private static final String SINGLE = "\u4e2d";
  private static final String KATAKANA = "\u30ab";
  private static final String JOIN = "\u0e31";
  private static final String SYMBOL = "\u263a";
  private static final String WIDE_MARK = "\uff01";
  private static final String WIDE_STOP = "\u3002";
  private static final String ELLIPSIS = "\u2026";
  private static final String APOSTROPHE = "'";
  private static final String CLOSING =
      "\"')]}\u2019\u201d\u00bb\u203a\uff09\uff3d\uff5d\u300d\u300f\u3011\u300b\u3009\u3015\uff63";
  private static final String SPACE = "\\t-\\r\\x1c-\\x20";
  private static final Pattern IS_SPACE = Pattern.compile("[" + SPACE + "]");
  private static final String LETTERS = "A-Za-z0-9_" + CAPITAL + SMALL + CASELESS;
  private static final Pattern IS_LETTER = Pattern.compile("[" + LETTERS + "]");
  private static final String NOT_BEFORE_LETTER = "(?![" + LETTERS + "])";
  private static final String ADDRESS =
      "[^" + SPACE + "<>\"" + SINGLE + KATAKANA + JOIN + WIDE_MARK + WIDE_STOP + ELLIPSIS + "]";
  private static final String HYPHENS = "\\-\u2010\u2011";
  private static final Pattern SENTENCE_END = Pattern.compile(
      "[.!?" + WIDE_MARK + "]*[.!?" + WIDE_MARK + "]|" + ELLIPSIS + "+|" + WIDE_STOP + "+");
  // Of the lowered characters: those that Python's str.isdigit knows.
  private static final Pattern DIGITS = Pattern.compile(
      "[0-9\\x{1369}-\\x{1371}\\x{19da}\\x{2474}-\\x{247c}\\x{2488}-\\x{2490}\\x{24f5}-\\x{24fd}\\x{24ff}"
          + "\\x{2776}-\\x{277e}\\x{2780}-\\x{2788}\\x{278a}-\\x{2792}\\x{10a40}-\\x{10a43}\\x{10e60}-\\x{10e68}\\x{11052}-\\x{1105a}\\x{1f100}-\\x{1f10a}]+");
  private static final Pattern THREE_IN_A_ROW = Pattern.compile("(?s)(.)\\1\\1+");
  private static final int SEPARATOR = 0;
  private static final int DROPPED = 5;
  private static final int LONGEST_SHAPE = 8;

  private final String[] lowered;
  private final String[] classes;
  private final String[] shapes;
  private final Set<String> known = new HashSet<>();
  private final Map<String, Set<Integer>> lengths = new HashMap<>(); // by the first character, the longest first
  private final Pattern pattern;
  private int longest;

  /** The characters of a text that are not dropped: lowered, their classes, and where each starts and ends. */
  private static final class Text {
    final List<String> lowered = new ArrayList<>();
    final List<String> classes = new ArrayList<>();
    final List<Integer> starts = new ArrayList<>();
    final List<Integer> ends = new ArrayList<>();
  }

  /** Takes the runs of the table, and the words of the vocabulary, as strings of bytes, without special tokens. */
  UnicodeRule(JsonArray runs, List<String> words, boolean joinsHyphens) {
    int count = 0;
    for (JsonElement run : runs) {
      count += run.getAsJsonArray().get(0).getAsInt();
    }
    lowered = new String[count];
    classes = new String[count];
    shapes = new String[count];
    readTable(runs);
    for (String word : words) {
      String text = new String(word.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
      List<String> characters = charactersOf(text);
      known.add(text);
      lengths.computeIfAbsent(characters.get(0), first -> new TreeSet<>(Collections.reverseOrder())).add(characters.size());
      longest = Math.max(longest, characters.size());
    }
    pattern = makePattern(APOSTROPHE + (joinsHyphens ? HYPHENS : ""));
  }

  /** The first pattern that matches is a word. */
  private static Pattern makePattern(String joiners) {
    return Pattern.compile(String.join("|",
        "(?i:(?:https?|ftp)://|www\\.)" + ADDRESS + "*(?<![.,;:!?)\\]'])",
        "[A-Za-z0-9._+\\-]{1,64}@[A-Za-z0-9\\-]+(?:\\.[A-Za-z0-9\\-]++)*+",
        "[:;=]['\\-]?[()DPp]+" + NOT_BEFORE_LETTER,
        "(?:[A-Za-z" + CAPITAL + SMALL + CASELESS + "]\\.){2,}+",
        "[A-Z" + CAPITAL + "]\\.(?=[" + SPACE + "])",
        "\\.?[0-9]++(?:[.,:/][0-9]++" + NOT_BEFORE_LETTER + ")++",
        "[" + LETTERS + "]++(?:[" + joiners + "][" + LETTERS + "]++)*+",
        "[.!?" + WIDE_MARK + "]{2,}",
        KATAKANA + "[" + KATAKANA + JOIN + "]*",
        "[" + SINGLE + SYMBOL + "]" + JOIN + "*",
        "([^" + SPACE + LETTERS + "])\\1*+"));
  }

  @Override
  public List<List<Span>> split(byte[] bytes) {
    var sentences = new ArrayList<List<Span>>();
    int start = 0;
    while (start < bytes.length) { // no sentence is longer than a line
      int end = start;
      while (end < bytes.length && bytes[end] != '\n') {
        end++;
      }
      end = Math.min(end + 1, bytes.length);
      splitLine(Arrays.copyOfRange(bytes, start, end), start, sentences);
      start = end;
    }
    return sentences;
  }

  @Override
  public List<String> toTokens(byte[] bytes, List<String> slots) {
    var codes = new ArrayList<Integer>();
    decode(bytes).forEach(character -> codes.add(character[0]));
    List<String> characters = write(codes, lowered);
    if (characters.isEmpty()) { // all of them are dropped
      characters = codes.stream().map(Character::toString).toList();
    }
    var tokens = new ArrayList<String>(List.of(encode(String.join("", characters))));
    for (String slot : slots) {
      String value = slot.equals("SHAPE") ? toShape(codes, characters) : BytesRule.cut(characters, slot);
      tokens.add(encode(slot + "=" + value));
    }
    return tokens;
  }

  private String toShape(List<Integer> codes, List<String> characters) {
    List<String> written = write(codes, shapes);
    String shape = String.join("", written.isEmpty() ? characters : written);
    List<String> shortened = charactersOf(THREE_IN_A_ROW.matcher(shape).replaceAll("$1$1"));
    return String.join("", shortened.subList(0, Math.min(LONGEST_SHAPE, shortened.size())));
  }

  private void splitLine(byte[] bytes, int offset, List<List<Span>> sentences) {
    Text read = read(bytes);
    var sentence = new ArrayList<Span>();
    int end = 0; // of the last word
    boolean isOver = false; // whether its marks have ended the sentence
    boolean isWide = false;
    for (Span word : findWords(read)) {
      List<String> between = read.classes.subList(end, word.start());
      List<String> ofWord = read.classes.subList(word.start(), word.end());
      boolean isClosing = isOver && between.isEmpty() && ofWord.stream().allMatch(CLOSING::contains);
      boolean isNew = isOver && !isClosing && beginsSentence(between, ofWord.get(0), isWide);
      if (!sentence.isEmpty() && (isNew || between.contains("\n") || between.contains("\r"))) {
        sentences.add(sentence);
        sentence = new ArrayList<>();
        isOver = false;
        isWide = false;
      }
      sentence.add(new Span(offset + read.starts.get(word.start()), offset + read.ends.get(word.end() - 1)));
      if (!isClosing) {
        String last = ofWord.get(ofWord.size() - 1);
        isOver = SENTENCE_END.matcher(String.join("", ofWord)).matches();
        isWide = isOver && (last.equals(WIDE_MARK) || last.equals(WIDE_STOP));
      }
      end = word.end();
    }
    if (!sentence.isEmpty()) {
      sentences.add(sentence);
    }
  }

  private Text read(byte[] bytes) {
    var read = new Text();
    int end = 0;
    for (int[] character : decode(bytes)) {
      end += character[1];
      String ofCharacter = lookUp(classes, character[0]);
      if (!ofCharacter.isEmpty()) {
        read.classes.add(ofCharacter);
        read.lowered.add(lookUp(lowered, character[0]));
        read.starts.add(end - character[1]);
        read.ends.add(end);
      }
    }
    return read;
  }

  /** Returns the first character of each word and the one after its last. */
  private List<Span> findWords(Text read) {
    String text = String.join("", read.classes);
    int[] units = new int[read.classes.size() + 1]; // where each character starts in the string
    int[] places = new int[text.length() + 1];
    for (int place = 0; place < read.classes.size(); place++) {
      units[place + 1] = units[place] + read.classes.get(place).length();
      places[units[place + 1]] = place + 1;
    }
    var words = new ArrayList<Span>();
    Matcher matcher = pattern.matcher(text).useTransparentBounds(true);
    int from = 0;
    while (from < text.length() && matcher.region(from, text.length()).find()) {
      int place = places[matcher.start()];
      int end = findLongestKnown(read, place, places[matcher.end()]);
      for (int length : cut(read.lowered.subList(place, end))) {
        words.add(new Span(place, place + length));
        place += length;
      }
      from = units[end];
    }
    return words;
  }

  /** Returns the end of the longest known word that begins at start and ends after end; else end. */
  private int findLongestKnown(Text read, int start, int end) {
    for (int length : lengths.getOrDefault(read.lowered.get(start), Set.of())) {
      int last = start + length;
      if (last <= end) {
        break;
      }
      if (last <= read.lowered.size()) {
        String word = String.join("", read.lowered.subList(start, last));
        if (known.contains(word) && !isTorn(read.classes, start, last) && !mayEndSentence(word)) {
          return last;
        }
      }
    }
    return end;
  }

  /** Whether a word is another known word and a full stop, and not a number. */
  private boolean mayEndSentence(String word) {
    String before = word.substring(0, word.length() - 1);
    return word.endsWith(".") && known.contains(before) && !DIGITS.matcher(before).matches();
  }

  /** Returns the lengths of the words that a word with an apostrophe consists of, or its own length. */
  private List<Integer> cut(List<String> characters) {
    int size = characters.size();
    if (!characters.contains(APOSTROPHE) || known.contains(String.join("", characters))) {
      return List.of(size);
    }
    int last = characters.lastIndexOf(APOSTROPHE);
    for (int cut = Math.max(1, size - longest); cut <= last; cut++) {
      if (known.contains(String.join("", characters.subList(cut, size)))) {
        return List.of(cut, size - cut);
      }
    }
    int after = characters.indexOf(APOSTROPHE) + 1;
    boolean isKnown = after < size && known.contains(String.join("", characters.subList(0, after)));
    return isKnown ? List.of(after, size - after) : List.of(size);
  }

  /** Reads the runs of the table: how a character is lowered, its class, and what the shape has for it. */
  private void readTable(JsonArray runs) {
    int code = 0;
    for (JsonElement element : runs) {
      JsonArray run = element.getAsJsonArray();
      int kind = run.get(1).getAsInt();
      for (int end = code + run.get(0).getAsInt(); code < end; code++) {
        String itself = Character.toString(code);
        String replacement = Character.toString(code + run.get(2).getAsInt());
        lowered[code] = kind == DROPPED ? "" : kind == SEPARATOR ? itself : replacement;
        classes[code] = written(run.get(3), itself, replacement);
        shapes[code] = written(run.get(4), itself, replacement);
      }
    }
  }

  private static String written(JsonElement value, String itself, String replacement) {
    if (value.isJsonNull()) {
      return itself;
    }
    return value.getAsJsonPrimitive().isBoolean() ? replacement : value.getAsString();
  }

  private static List<String> write(List<Integer> codes, String[] table) {
    return codes.stream().map(code -> lookUp(table, code)).filter(character -> !character.isEmpty()).toList();
  }

  private static String lookUp(String[] table, int code) {
    return code < table.length ? table[code] : Character.toString(code);
  }

  /** Whether white space is in a part of a text, or letters or marks continue after it. */
  private static boolean isTorn(List<String> classes, int start, int end) {
    if (classes.subList(start, end).stream().anyMatch(c -> IS_SPACE.matcher(c).matches())) {
      return true;
    }
    if (end >= classes.size()) {
      return false;
    }
    boolean joinsLetters =
        IS_LETTER.matcher(classes.get(end)).matches() && IS_LETTER.matcher(classes.get(end - 1)).matches();
    return classes.get(end).equals(JOIN) || joinsLetters;
  }

  /** Whether a word begins a sentence after one that has ended. */
  private static boolean beginsSentence(List<String> between, String initial, boolean isWide) {
    if (isWide || initial.equals(SINGLE) || initial.equals(KATAKANA)) {
      return true;
    }
    boolean isSmall = initial.equals(SMALL) || (initial.charAt(0) >= 'a' && initial.charAt(0) <= 'z');
    return !between.isEmpty() && !isSmall;
  }

  /** Returns the characters of UTF-8, as their numbers and sizes. Encoded surrogates are three spaces. */
  private static List<int[]> decode(byte[] bytes) {
    var characters = new ArrayList<int[]>();
    int[] least = {0, 0, 0x80, 0x800, 0x10000};
    for (int i = 0; i < bytes.length;) {
      int lead = bytes[i] & 0xff;
      int size = lead < 0xc2 || lead > 0xf4 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
      int code = size == 1 ? lead : lead & (0x7f >> size);
      boolean isWhole = i + size <= bytes.length;
      for (int k = i + 1; isWhole && k < i + size; k++) {
        isWhole = (bytes[k] & 0xc0) == 0x80;
        code = (code << 6) | (bytes[k] & 0x3f);
      }
      if (!isWhole || code > 0x10ffff || code < least[size]) {
        characters.add(new int[] {lead, 1});
        i += 1;
      } else if (code >= 0xd800 && code < 0xe000) {
        for (int k = 0; k < 3; k++) {
          characters.add(new int[] {' ', 1});
        }
        i += 3;
      } else {
        characters.add(new int[] {code, size});
        i += size;
      }
    }
    return characters;
  }

  private static List<String> charactersOf(String text) {
    return text.codePoints().mapToObj(Character::toString).toList();
  }

  private static String encode(String text) {
    return new String(text.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1);
  }
}
