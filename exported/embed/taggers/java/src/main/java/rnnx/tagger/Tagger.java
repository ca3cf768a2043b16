package rnnx.tagger;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.nio.IntBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.IntUnaryOperator;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

/**
 * A tagger of words in memory; {@link #load()} makes it. Many threads may use it at once. Close it to free the model.
 *
 * <pre>{@code
 * try (var tagger = Tagger.load()) {
 *   List<List<Word>> sentences = tagger.tag("They didn't see it.");
 * }
 * }</pre>
 */
public final class Tagger implements AutoCloseable {
  // Their ids are 0, 1 and 2, and no word has the id of one.
  private static final List<String> SPECIAL_TOKENS = List.of("<pad>", "<start>", "<unknown>");
  private static final int UNKNOWN_ID = 2;
  private static final Pattern FEATURE = Pattern.compile("(?s)(?:SUFFIX[1-9]|PREFIX[1-9]|SHAPE)=.+");
  private static final int MOST_WORDS = 1 << 14; // of a batch, with its padding
  private static final int MOST_PIECES = 256; // of a batch
  private static final int MOST_CACHED = 1 << 16; // most words of a text are few different ones
  private static final int TEXTS_AT_ONCE = 1024;

  private final OrtEnvironment environment;
  private final OrtSession session;
  private final List<String> tags;
  private final List<String> slots;
  private final int longest;
  private final Map<String, Integer> ids = new HashMap<>();
  private final Rule rule;
  private final Map<String, int[]> cache = new ConcurrentHashMap<>();
  private boolean isClosed;

  private Tagger(OrtEnvironment environment, OrtSession session, JsonObject config, List<String> tokens) {
    this.environment = environment;
    this.session = session;
    this.tags = strings(config, "labels");
    JsonObject words = config.getAsJsonObject("words");
    this.slots = strings(words, "features");
    this.longest = words.get("max_length").getAsInt();
    List<String> known = tokens.subList(SPECIAL_TOKENS.size(), tokens.size());
    for (int i = 0; i < known.size(); i++) {
      ids.put(known.get(i), SPECIAL_TOKENS.size() + i);
    }
    this.rule = makeRule(config, known);
  }

  /**
   * Loads the model of this package.
   *
   * @return the model, ready for texts
   * @throws TaggerException if a file is missing or damaged
   */
  public static Tagger load() {
    return open(null);
  }

  /**
   * Loads another model.
   *
   * @param folder a folder with {@code model.onnx}, {@code vocabulary.txt} and {@code config.json}
   * @return the model, ready for texts
   * @throws TaggerException if a file is missing or damaged
   */
  public static Tagger load(Path folder) {
    return open(folder);
  }

  static Tagger open(Path folder) {
    String where = folder == null ? "of this package" : "in " + folder;
    byte[] model = Resources.read(folder, "model.onnx");
    JsonObject config;
    List<String> tokens;
    try {
      config = JsonParser.parseString(new String(Resources.read(folder, "config.json"), StandardCharsets.UTF_8))
          .getAsJsonObject();
      String text = new String(Resources.read(folder, "vocabulary.txt"), StandardCharsets.ISO_8859_1);
      tokens = List.of((text.endsWith("\n") ? text.substring(0, text.length() - 1) : text).split("\n", -1));
      boolean isWhole = tokens.size() == config.get("vocabulary_size").getAsInt();
      if (!isWhole || !tokens.subList(0, SPECIAL_TOKENS.size()).equals(SPECIAL_TOKENS)) {
        throw new TaggerException("vocabulary.txt " + where + " is not the vocabulary of this model", null);
      }
    } catch (TaggerException error) {
      throw error;
    } catch (RuntimeException error) { // gson's errors have no class in common
      throw new TaggerException("config.json " + where + " is not that of a tagger: " + error.getMessage(), error);
    }
    OrtEnvironment environment = Telemetry.startEnvironment();
    try (var options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(1); // a recurrence only loses by more
      return new Tagger(environment, environment.createSession(model, options), config, tokens);
    } catch (OrtException error) {
      throw new TaggerException("model.onnx " + where + " is not a whole model: " + error.getMessage(), error);
    }
  }

  /** The rule that a config names; {@code known} are the tokens of the vocabulary without the special ones. */
  static Rule makeRule(JsonObject config, List<String> known) {
    JsonObject words = config.getAsJsonObject("words");
    String name = words.has("rule") ? words.get("rule").getAsString() : "bytes";
    if (name.equals("bytes")) {
      return new BytesRule();
    }
    if (!name.equals("unicode-14") || !config.has("characters")) {
      throw new TaggerException("this package does not know the rule " + name, null);
    }
    boolean joinsHyphens = words.has("joins_hyphens") && words.get("joins_hyphens").getAsBoolean();
    List<String> ownWords = known.stream().filter(token -> !FEATURE.matcher(token).matches()).toList();
    return new UnicodeRule(config.getAsJsonObject("characters").getAsJsonArray("runs"), ownWords, joinsHyphens);
  }

  private static List<String> strings(JsonObject object, String key) {
    var found = new ArrayList<String>();
    object.getAsJsonArray(key).forEach(value -> found.add(value.getAsString()));
    return Collections.unmodifiableList(found);
  }

  /**
   * Returns the tags.
   *
   * @return the tags, in the order of the probabilities of the model
   */
  public List<String> tags() {
    return tags;
  }

  /**
   * Splits one text into sentences of words, and tags the words.
   *
   * @param text a text, which may be empty
   * @return its sentences, each with at least one word
   * @throws TaggerException if the model cannot be run
   */
  public List<List<Word>> tag(String text) {
    return tagMany(List.of(text)).get(0);
  }

  /**
   * Tags one text, given as bytes.
   *
   * @param text the bytes of a text, which need not be UTF-8 and may be empty
   * @return its sentences, each with at least one word
   * @throws TaggerException if the model cannot be run
   */
  public List<List<Word>> tag(byte[] text) {
    return tagManyBytes(List.of(text)).get(0);
  }

  /**
   * Tags many texts.
   *
   * @param texts any number of texts
   * @return their sentences, in the order of the texts
   * @throws TaggerException if the model cannot be run
   */
  public List<List<List<Word>>> tagMany(Collection<String> texts) {
    return tagAll(List.copyOf(texts));
  }

  /**
   * Tags many texts, given as bytes.
   *
   * @param texts the bytes of any number of texts, which need not be UTF-8
   * @return their sentences, in the order of the texts
   * @throws TaggerException if the model cannot be run
   */
  public List<List<List<Word>>> tagManyBytes(Collection<byte[]> texts) {
    return tagAll(List.copyOf(texts));
  }

  private List<List<List<Word>>> tagAll(List<?> texts) {
    var answers = new ArrayList<List<List<Word>>>();
    for (int start = 0; start < texts.size(); start += TEXTS_AT_ONCE) {
      answers.addAll(tagSome(texts.subList(start, Math.min(texts.size(), start + TEXTS_AT_ONCE))));
    }
    return answers;
  }

  /** Tags some texts, each a string or an array of bytes. */
  private List<List<List<Word>>> tagSome(List<?> texts) {
    List<byte[]> rows = texts.stream().map(text -> text instanceof String s ? encode(s) : (byte[]) text).toList();
    List<List<List<Rule.Span>>> split = rows.stream().map(rule::split).toList();
    var sentences = new ArrayList<List<byte[]>>();
    for (int i = 0; i < rows.size(); i++) {
      for (List<Rule.Span> spans : split.get(i)) {
        byte[] row = rows.get(i);
        sentences.add(spans.stream().map(span -> Arrays.copyOfRange(row, span.start(), span.end())).toList());
      }
    }
    var answers = compute(sentences).iterator();
    var tagged = new ArrayList<List<List<Word>>>();
    for (int i = 0; i < rows.size(); i++) {
      var found = new ArrayList<List<Word>>();
      IntUnaryOperator toIndex = makeIndex(texts.get(i), rows.get(i).length);
      for (List<Rule.Span> spans : split.get(i)) {
        found.add(describe(texts.get(i), spans, answers.next(), toIndex));
      }
      tagged.add(found);
    }
    return tagged;
  }

  private List<Word> describe(Object text, List<Rule.Span> spans, float[][] probs, IntUnaryOperator toIndex) {
    var words = new ArrayList<Word>();
    for (int i = 0; i < probs.length; i++) {
      int start = toIndex.applyAsInt(spans.get(i).start());
      int end = toIndex.applyAsInt(spans.get(i).end());
      String word = text instanceof String s
          ? s.substring(start, end)
          : new String((byte[]) text, start, end - start, StandardCharsets.UTF_8);
      int best = largest(probs[i]);
      words.add(new Word(word, start, end, tags.get(best), probs[i][best]));
    }
    return words;
  }

  /** Returns the sentences of a text in bytes. */
  List<List<Rule.Span>> split(byte[] text) {
    return rule.split(text);
  }

  /** Returns the ids of a word: its own, and those of its features. */
  int[] lookUp(byte[] word) {
    String key = new String(word, StandardCharsets.ISO_8859_1);
    int[] found = cache.get(key);
    if (found == null) {
      found = rule.toTokens(word, slots).stream().mapToInt(token -> ids.getOrDefault(token, UNKNOWN_ID)).toArray();
      if (cache.size() >= MOST_CACHED) {
        cache.clear();
      }
      cache.put(key, found);
    }
    return found;
  }

  /** For each sentence, given as its words in bytes, and each of its words the probability of each tag. */
  List<float[][]> compute(List<List<byte[]>> sentences) {
    var pieces = new ArrayList<List<byte[]>>();
    var owners = new ArrayList<Integer>();
    for (int i = 0; i < sentences.size(); i++) {
      for (List<byte[]> piece : cut(sentences.get(i))) {
        pieces.add(piece);
        owners.add(i);
      }
    }
    var found = new float[pieces.size()][][];
    for (List<Integer> batch : toBatches(pieces)) {
      float[][][] answers = run(batch.stream().map(pieces::get).toList());
      for (int row = 0; row < answers.length; row++) {
        found[batch.get(row)] = answers[row];
      }
    }
    var answers = new ArrayList<List<float[]>>();
    sentences.forEach(sentence -> answers.add(new ArrayList<>()));
    for (int k = 0; k < found.length; k++) {
      answers.get(owners.get(k)).addAll(Arrays.asList(found[k]));
    }
    return answers.stream().map(rows -> rows.toArray(new float[0][])).toList();
  }

  /** Cuts a long sentence into as few pieces as possible, of nearly equal length. */
  private List<List<byte[]>> cut(List<byte[]> words) {
    int count = (words.size() + longest - 1) / longest;
    return IntStream.range(0, count).mapToObj(i ->
        words.subList((int) ((long) i * words.size() / count), (int) ((i + 1L) * words.size() / count))).toList();
  }

  /** Puts the positions of pieces into batches of similar lengths. */
  private static List<List<Integer>> toBatches(List<List<byte[]>> pieces) {
    var batches = new ArrayList<List<Integer>>();
    List<Integer> batch = List.of();
    var order = IntStream.range(0, pieces.size()).boxed().sorted(Comparator.comparing(i -> pieces.get(i).size())).toList();
    for (int i : order) {
      boolean isFull = batch.size() == MOST_PIECES || (batch.size() + 1L) * pieces.get(i).size() > MOST_WORDS;
      if (batch.isEmpty() || isFull) {
        batch = new ArrayList<>();
        batches.add(batch);
      }
      batch.add(i);
    }
    return batches;
  }

  /** Runs one batch. Rows are padded with zeros. */
  private float[][][] run(List<List<byte[]>> sentences) {
    int rows = sentences.size();
    int time = sentences.stream().mapToInt(List::size).max().orElseThrow();
    var own = new int[rows * time];
    var features = new int[rows * time * slots.size()];
    for (int row = 0; row < rows; row++) {
      for (int i = 0; i < sentences.get(row).size(); i++) {
        int[] found = lookUp(sentences.get(row).get(i));
        own[row * time + i] = found[0];
        System.arraycopy(found, 1, features, (row * time + i) * slots.size(), slots.size());
      }
    }
    float[][][] probs;
    try (var ids = OnnxTensor.createTensor(environment, IntBuffer.wrap(own), new long[] {rows, time});
        var others = OnnxTensor.createTensor(
            environment, IntBuffer.wrap(features), new long[] {rows, time, slots.size()});
        var result = session.run(Map.of("ids", ids, "features", others))) {
      probs = (float[][][]) result.get("probs").orElseThrow().getValue();
    } catch (OrtException error) {
      throw new TaggerException("the model cannot be run: " + error.getMessage(), error);
    }
    for (int row = 0; row < rows; row++) {
      probs[row] = Arrays.copyOf(probs[row], sentences.get(row).size());
      for (int i = 0; i < probs[row].length; i++) {
        float[] word = probs[row][i];
        // Two tags may share a probability: that of the second.
        probs[row][i] = word.length == 1 ? new float[] {1 - word[0], word[0]} : word;
      }
    }
    return probs;
  }

  static int largest(float[] probs) {
    int best = 0;
    for (int i = 1; i < probs.length; i++) {
      best = probs[i] > probs[best] ? i : best;
    }
    return best;
  }

  /** Encodes a string. Half a pair of surrogates is the character U+FFFD, as in JavaScript; Java's own is a "?". */
  private static byte[] encode(String text) {
    int[] codes = text.codePoints().map(code -> code >= 0xd800 && code < 0xe000 ? 0xfffd : code).toArray();
    return new String(codes, 0, codes.length).getBytes(StandardCharsets.UTF_8);
  }

  /** For a string, where each byte of its UTF-8 is in the string; for bytes, the same places. */
  private static IntUnaryOperator makeIndex(Object text, int length) {
    if (!(text instanceof String string) || string.length() == length) {
      return IntUnaryOperator.identity();
    }
    int[] places = new int[length + 1];
    int offset = 0;
    for (int place = 0; place < string.length();) {
      int code = string.codePointAt(place);
      places[offset] = place;
      offset += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      place += Character.charCount(code);
    }
    places[offset] = string.length();
    return at -> places[at];
  }

  /** Returns the version of onnxruntime. */
  String version() {
    return environment.getVersion();
  }

  /** Frees the model. A second call does nothing. */
  @Override
  public synchronized void close() {
    if (isClosed) {
      return;
    }
    isClosed = true;
    try {
      session.close();
    } catch (OrtException error) {
      throw new TaggerException("the model cannot be closed: " + error.getMessage(), error);
    }
  }
}
