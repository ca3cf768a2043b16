package rnnx.textclassifier;

import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

/**
 * A text model in memory; {@link #load()} makes it. Many threads may use it at once. Close it to free the model.
 *
 * <pre>{@code
 * try (var classifier = Classifier.load()) {
 *   Prediction prediction = classifier.predict("A wonderful film.");
 * }
 * }</pre>
 */
public final class Classifier implements AutoCloseable {
  static final String MODEL = "model.text.onnx";
  private static final long MOST_BYTES = 1 << 20; // of a batch: a long text does not widen the rows of many short ones
  private static final int MOST_TEXTS = 1024; // of a batch

  private final OrtEnvironment environment;
  private final OrtSession session;
  private final List<String> labels;
  private boolean isClosed;

  private Classifier(OrtEnvironment environment, OrtSession session, List<String> labels) {
    this.environment = environment;
    this.session = session;
    this.labels = labels;
  }

  /**
   * Loads the model of this package.
   *
   * @return the model, ready for texts
   * @throws ClassifierException if the model is missing or damaged
   */
  public static Classifier load() {
    return load(Resources.read(MODEL), "the model of this package");
  }

  /**
   * Loads another model.
   *
   * @param folder a folder with {@code model.text.onnx}
   * @return the model, ready for texts
   * @throws ClassifierException if the file is missing or damaged
   */
  public static Classifier load(Path folder) {
    Path file = folder.resolve(MODEL);
    try {
      return load(Files.readAllBytes(file), file.toString());
    } catch (IOException error) {
      throw new ClassifierException("cannot read " + file + ": " + Resources.describe(error), error);
    }
  }

  private static Classifier load(byte[] model, String name) {
    OrtEnvironment environment = Telemetry.startEnvironment();
    try (var options = new OrtSession.SessionOptions()) {
      options.setIntraOpNumThreads(1); // a recurrence only loses by more
      OrtSession session = environment.createSession(model, options);
      try {
        return new Classifier(environment, session, readLabels(session));
      } catch (OrtException | RuntimeException error) {
        session.close();
        throw error;
      }
    } catch (OrtException | JsonParseException | IllegalStateException error) {
      throw new ClassifierException(name + " is not a whole model: " + error.getMessage(), error);
    }
  }

  /** The file says itself what its outputs mean. */
  private static List<String> readLabels(OrtSession session) throws OrtException {
    String about = session.getMetadata().getCustomMetadataValue("rnnx").orElse("{}");
    var array = JsonParser.parseString(about).getAsJsonObject().getAsJsonArray("labels");
    var labels = new ArrayList<String>();
    if (array != null) {
      array.forEach(label -> labels.add(label.getAsString()));
    }
    boolean readsTexts = session.getInputNames().contains("text") && session.getOutputNames().contains("probs");
    if (labels.isEmpty() || !readsTexts) {
      throw new IllegalStateException("it takes no text, or gives no probabilities of labels");
    }
    return Collections.unmodifiableList(labels);
  }

  /**
   * Returns the labels.
   *
   * @return the labels, in the order of {@link Prediction#probs()}
   */
  public List<String> labels() {
    return labels;
  }

  /**
   * Reads one text.
   *
   * @param text a text, which may be empty
   * @return its answer
   * @throws ClassifierException if the model cannot be run
   */
  public Prediction predict(String text) {
    return predictMany(List.of(text)).get(0);
  }

  /**
   * Reads one text, given as bytes.
   *
   * @param text the bytes of a text, which need not be UTF-8 and may be empty
   * @return its answer
   * @throws ClassifierException if the model cannot be run
   */
  public Prediction predict(byte[] text) {
    return predictManyBytes(List.of(text)).get(0);
  }

  /**
   * Reads many texts. Short and long ones may be mixed.
   *
   * @param texts any number of texts
   * @return their answers, in the order of the texts
   * @throws ClassifierException if the model cannot be run
   */
  public List<Prediction> predictMany(Collection<String> texts) {
    return predictManyBytes(texts.stream().map(Utf8::encode).toList());
  }

  /**
   * Reads many texts, given as bytes. Short and long ones may be mixed.
   *
   * @param texts the bytes of any number of texts, which need not be UTF-8
   * @return their answers, in the order of the texts
   * @throws ClassifierException if the model cannot be run
   */
  public List<Prediction> predictManyBytes(Collection<byte[]> texts) {
    List<byte[]> rows = List.copyOf(texts);
    var predictions = new Prediction[rows.size()];
    for (List<Integer> batch : toBatches(rows)) {
      float[][] answers = computeProbs(batch.stream().map(rows::get).toList());
      for (int row = 0; row < answers.length; row++) {
        predictions[batch.get(row)] = describe(answers[row]);
      }
    }
    return Arrays.asList(predictions);
  }

  /** Texts to probabilities, one per label, in one batch. Rows are padded with zeros; an empty text is one zero. */
  float[][] computeProbs(List<byte[]> texts) {
    int width = Math.max(1, texts.stream().mapToInt(text -> text.length).max().orElse(0));
    var rows = ByteBuffer.allocateDirect(Math.multiplyExact(texts.size(), width));
    for (int i = 0; i < texts.size(); i++) {
      rows.put(i * width, texts.get(i));
    }
    long[] shape = {texts.size(), width};
    try (var text = OnnxTensor.createTensor(environment, rows, shape, OnnxJavaType.UINT8);
        var result = session.run(Map.of("text", text))) {
      return (float[][]) result.get("probs").orElseThrow().getValue();
    } catch (OrtException error) {
      throw new ClassifierException("the model cannot be run: " + error.getMessage(), error);
    }
  }

  private Prediction describe(float[] probs) {
    var all = new ArrayList<Float>();
    int best = 0;
    for (int i = 0; i < probs.length; i++) {
      all.add(probs[i]);
      best = probs[i] > probs[best] ? i : best;
    }
    return new Prediction(labels.get(best), probs[best], all);
  }

  /** Puts the positions of texts into batches of similar lengths. */
  private static List<List<Integer>> toBatches(List<byte[]> texts) {
    var batches = new ArrayList<List<Integer>>();
    int[] order = IntStream.range(0, texts.size()).boxed()
        .sorted((a, b) -> Integer.compare(texts.get(a).length, texts.get(b).length)).mapToInt(i -> i).toArray();
    List<Integer> batch = List.of();
    for (int i : order) {
      boolean isFull = batch.size() == MOST_TEXTS || (batch.size() + 1L) * texts.get(i).length > MOST_BYTES;
      if (batch.isEmpty() || isFull) {
        batch = new ArrayList<>();
        batches.add(batch);
      }
      batch.add(i);
    }
    return batches;
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
      throw new ClassifierException("the model cannot be closed: " + error.getMessage(), error);
    }
  }
}
