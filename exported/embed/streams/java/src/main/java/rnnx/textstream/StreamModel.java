package rnnx.textstream;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.nio.FloatBuffer;
import java.nio.IntBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalDouble;
import java.util.regex.Pattern;

/**
 * A streaming model in memory; {@link #load()} makes it. Any number of texts may be read at the same time, in any
 * threads: the state of each is a value. Close the model to free it.
 *
 * <pre>{@code
 * try (var model = StreamModel.load()) {
 *   Step step = model.step(model.begin(), "A wonder");
 *   step = model.step(step.state(), "ful film.");
 *   Answer answer = model.finish(step.state()).answer();
 * }
 * }</pre>
 */
public final class StreamModel implements AutoCloseable {
  private static final List<String> SPECIAL_TOKENS = List.of("<pad>", "<start>", "<unknown>");
  private static final int START_ID = 1;
  private static final int UNKNOWN_ID = 2;
  private static final Pattern SURROGATE = Pattern.compile("\u00ed[\u00a0-\u00bf][\u0080-\u00bf]");
  private static final double THRESHOLD = 0.5; // with two labels, the probability from which the second one is chosen

  private final OrtEnvironment environment;
  private final OrtSession session;
  private final List<String> labels;
  private final boolean hasStart;
  private final String input;
  private final String output;
  private final Map<String, Integer> sizes = new LinkedHashMap<>();
  private final Map<String, Integer> ids = new HashMap<>();
  private final WordCutter cutter;
  private boolean isClosed;

  private StreamModel(OrtEnvironment environment, OrtSession session, JsonObject config, List<String> tokens) {
    this.environment = environment;
    this.session = session;
    var names = new ArrayList<String>();
    config.getAsJsonArray("labels").forEach(label -> names.add(label.getAsString()));
    labels = Collections.unmodifiableList(names);
    hasStart = config.getAsJsonObject("tokenizer").get("start").getAsBoolean();
    input = nameOfFirst(config, "inputs");
    output = nameOfFirst(config, "outputs");
    config.getAsJsonObject("states").entrySet().forEach(entry -> sizes.put(entry.getKey(), entry.getValue().getAsInt()));
    int longest = 0;
    for (int i = 0; i < tokens.size(); i++) {
      longest = Math.max(longest, tokens.get(i).length());
      if (i >= SPECIAL_TOKENS.size()) {
        ids.put(tokens.get(i), i);
      }
    }
    cutter = new WordCutter(config, longest);
  }

  /**
   * Loads the model of this package.
   *
   * @return the model, ready for texts
   * @throws StreamException if a file is missing or damaged
   */
  public static StreamModel load() {
    return open(null);
  }

  /**
   * Loads another model.
   *
   * @param folder a folder with {@code model.stream.onnx}, {@code vocabulary.txt} and {@code config.json}
   * @return the model, ready for texts
   * @throws StreamException if a file is missing or damaged
   */
  public static StreamModel load(Path folder) {
    return open(folder);
  }

  private static StreamModel open(Path folder) {
    String where = folder == null ? "of this package" : "in " + folder;
    byte[] bytes = Resources.read(folder, "model.stream.onnx");
    byte[] settings = Resources.read(folder, "config.json");
    byte[] vocabulary = Resources.read(folder, "vocabulary.txt");
    OrtEnvironment environment = Telemetry.startEnvironment();
    OrtSession session = null;
    StreamModel model = null;
    try (var options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(1); // a recurrence only loses by more
      session = environment.createSession(bytes, options);
      JsonObject config = JsonParser.parseString(new String(settings, StandardCharsets.UTF_8)).getAsJsonObject();
      List<String> tokens = readTokens(new String(vocabulary, StandardCharsets.ISO_8859_1));
      boolean isWhole = tokens.size() == config.get("vocabulary_size").getAsInt();
      if (!isWhole || !tokens.subList(0, SPECIAL_TOKENS.size()).equals(SPECIAL_TOKENS)) {
        throw new StreamException("vocabulary.txt " + where + " is not the vocabulary of this model", null);
      }
      var made = new StreamModel(environment, session, config, tokens);
      if (!session.getInputNames().equals(made.inputNames())) {
        throw new StreamException("config.json " + where + " does not belong to this model", null);
      }
      model = made;
      return model;
    } catch (OrtException error) {
      throw new StreamException("model.stream.onnx " + where + " is not a whole model: " + error.getMessage(), error);
    } catch (StreamException error) {
      throw error;
    } catch (RuntimeException error) { // gson's errors have no class in common
      throw new StreamException("config.json " + where + " is not that of a stream: " + error.getMessage(), error);
    } finally {
      if (model == null && session != null) {
        close(session);
      }
    }
  }

  private static List<String> readTokens(String text) {
    return List.of((text.endsWith("\n") ? text.substring(0, text.length() - 1) : text).split("\n", -1));
  }

  private static String nameOfFirst(JsonObject config, String ports) {
    JsonElement first = config.getAsJsonArray(ports).get(0);
    return first.getAsJsonObject().get("name").getAsString();
  }

  private HashSet<String> inputNames() {
    var names = new HashSet<String>(List.of(input));
    sizes.keySet().forEach(name -> names.add(name + "_in"));
    return names;
  }

  /**
   * Returns the labels.
   *
   * @return the labels, in the order of {@link Answer#probs()}; none for a model that gives a number
   */
  public List<String> labels() {
    return labels;
  }

  /**
   * Begins a text.
   *
   * @return the state before it
   */
  public State begin() {
    var arrays = new LinkedHashMap<String, float[]>();
    sizes.forEach((name, size) -> arrays.put(name, new float[size]));
    return new State(arrays, 0, new byte[0], new float[0]);
  }

  /**
   * Reads the next chunk of a text. A word that may go on is held back, so a chunk may finish no word.
   *
   * @param state the state before the chunk, which stays as it is
   * @param chunk a part of the text, cut between two characters; it may be empty
   * @return the new state, and the answer to all words so far
   * @throws StreamException if the model cannot be run, or the state is not one of this model
   */
  public Step step(State state, String chunk) {
    return step(state, encode(chunk));
  }

  /**
   * Reads the next chunk of a text, given as bytes. A word that may go on is held back, so a chunk may finish no word.
   *
   * @param state the state before the chunk, which stays as it is
   * @param chunk bytes, which need not be UTF-8, cut anywhere, also within a character; they may be none
   * @return the new state, and the answer to all words so far
   * @throws StreamException if the model cannot be run, or the state is not one of this model
   */
  public Step step(State state, byte[] chunk) {
    check(state);
    WordCutter.Cut cut = cutter.feed(state.held(), chunk);
    return read(state, cut.words(), cut.held(), state.positions() == 0 && !cut.words().isEmpty());
  }

  /**
   * Ends a text: reads the word that was held back. A text without words has an answer too, if texts have a start.
   *
   * @param state the state after the last chunk, which stays as it is
   * @return the new state, and the answer to the whole text
   * @throws StreamException if the model cannot be run, or the state is not one of this model
   */
  public Step finish(State state) {
    check(state);
    return read(state, cutter.finish(state.held()), new byte[0], state.positions() == 0);
  }

  private Step read(State state, List<String> words, byte[] held, boolean isStart) {
    int first = isStart && hasStart ? 1 : 0;
    var given = new int[words.size() + first];
    for (int i = 0; i < words.size(); i++) {
      given[first + i] = ids.getOrDefault(words.get(i), UNKNOWN_ID);
    }
    if (first == 1) {
      given[0] = START_ID;
    }
    long positions = state.positions() + given.length;
    State next = given.length > 0 ? run(state, given, positions, held)
        : new State(state.arrays(), positions, held, state.latest());
    return new Step(next, describe(words.stream().map(StreamModel::decode).toList(), next.latest()));
  }

  private void check(State state) {
    boolean isRight = state.arrays().keySet().equals(sizes.keySet())
        && state.arrays().entrySet().stream().allMatch(entry -> entry.getValue().length == sizes.get(entry.getKey()));
    if (!isRight) {
      throw new StreamException("the state is not one of this model", null);
    }
  }

  private State run(State state, int[] given, long positions, byte[] held) {
    var tensors = new HashMap<String, OnnxTensor>();
    try {
      tensors.put(input, OnnxTensor.createTensor(environment, IntBuffer.wrap(given), new long[] {1, given.length}));
      for (Map.Entry<String, float[]> entry : state.arrays().entrySet()) {
        long[] shape = {1, entry.getValue().length};
        tensors.put(entry.getKey() + "_in",
            OnnxTensor.createTensor(environment, FloatBuffer.wrap(entry.getValue()), shape));
      }
      try (var result = session.run(tensors)) {
        var arrays = new LinkedHashMap<String, float[]>();
        for (String name : sizes.keySet()) {
          arrays.put(name, toFloats(result, name + "_out"));
        }
        return new State(arrays, positions, held, toFloats(result, output));
      }
    } catch (OrtException error) {
      throw new StreamException("the model cannot be run: " + error.getMessage(), error);
    } finally {
      tensors.values().forEach(OnnxTensor::close);
    }
  }

  private static float[] toFloats(OrtSession.Result result, String name) {
    FloatBuffer buffer = ((OnnxTensor) result.get(name).orElseThrow()).getFloatBuffer();
    var values = new float[buffer.remaining()];
    buffer.get(values);
    for (float value : values) {
      if (!Float.isFinite(value)) {
        throw new StreamException("the state is not finite any more after this chunk", null);
      }
    }
    return values;
  }

  private Answer describe(List<String> words, float[] latest) {
    var probs = new ArrayList<Double>();
    if (latest.length == 0 || labels.isEmpty()) {
      OptionalDouble number = latest.length == 0 ? OptionalDouble.empty() : OptionalDouble.of(latest[0]);
      return new Answer(words, Optional.empty(), OptionalDouble.empty(), List.of(), number);
    }
    if (latest.length == 1) { // two labels may share an output: the probability of the second
      probs.add(1 - (double) latest[0]);
    }
    for (float value : latest) {
      probs.add((double) value);
    }
    int best = probs.size() == 2 ? (probs.get(1) >= THRESHOLD ? 1 : 0) : probs.indexOf(Collections.max(probs));
    return new Answer(words, Optional.of(labels.get(best)), OptionalDouble.of(probs.get(best)),
        Collections.unmodifiableList(probs), OptionalDouble.empty());
  }

  /** Returns the ids of words, as an answer has them; 2 for an unknown word. */
  List<Integer> toIds(List<String> words) {
    return words.stream().map(word -> ids.getOrDefault(
        new String(word.getBytes(StandardCharsets.UTF_8), StandardCharsets.ISO_8859_1), UNKNOWN_ID)).toList();
  }

  /** Decodes UTF-8. Each byte of an encoded surrogate is U+FFFD, as in other languages; Java makes one of all three. */
  private static String decode(String word) {
    String escaped = SURROGATE.matcher(word).replaceAll("\u00ff\u00ff\u00ff");
    return new String(escaped.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
  }

  /** Encodes a string. Half a pair of surrogates is the character U+FFFD, as in JavaScript; Java's own is a "?". */
  private static byte[] encode(String text) {
    int[] codes = text.codePoints().map(code -> code >= 0xd800 && code < 0xe000 ? 0xfffd : code).toArray();
    return new String(codes, 0, codes.length).getBytes(StandardCharsets.UTF_8);
  }

  /** Returns the version of onnxruntime. */
  String version() {
    return environment.getVersion();
  }

  /** Frees the model. A second call does nothing. */
  @Override
  public synchronized void close() {
    if (!isClosed) {
      isClosed = true;
      close(session);
    }
  }

  private static void close(OrtSession session) {
    try {
      session.close();
    } catch (OrtException error) {
      throw new StreamException("the model cannot be closed: " + error.getMessage(), error);
    }
  }
}
