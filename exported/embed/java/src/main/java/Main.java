import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * Text in, label and probability out, with onnxruntime alone.
 *
 * <pre>
 * mvn -q exec:java -Dexec.args="'A wonderful film.'"    prints the label and its probability
 * mvn -q exec:java -Dexec.args=--golden                 compares with golden.json; fails at the first difference
 * </pre>
 */
public final class Main {

  private static final ObjectMapper JSON = new ObjectMapper();

  /** A loaded text model. */
  static final class Classifier implements AutoCloseable {
    private final OrtEnvironment environment = OrtEnvironment.getEnvironment();
    private final OrtSession session;
    final List<String> labels = new ArrayList<>();

    Classifier(String path) throws OrtException, IOException {
      try (var options = new OrtSession.SessionOptions()) {
        options.setIntraOpNumThreads(1); // a recurrence only loses by more
        session = environment.createSession(path, options);
      }
      // The file says itself what its outputs mean.
      var about = session.getMetadata().getCustomMetadataValue("rnnx").orElseThrow();
      JSON.readTree(about).get("labels").forEach(label -> labels.add(label.asText()));
    }

    /** Texts to probabilities, one per label. Rows are padded with zeros; an empty text is one zero. */
    float[][] predict(List<byte[]> texts) throws OrtException {
      int width = Math.max(1, texts.stream().mapToInt(text -> text.length).max().orElse(0));
      var rows = ByteBuffer.allocateDirect(texts.size() * width);
      for (int i = 0; i < texts.size(); i++) {
        rows.put(i * width, texts.get(i));
      }
      long[] shape = {texts.size(), width};
      try (var text = OnnxTensor.createTensor(environment, rows, shape, OnnxJavaType.UINT8);
          var result = session.run(Map.of("text", text))) {
        return (float[][]) result.get("probs").orElseThrow().getValue();
      }
    }

    @Override
    public void close() throws OrtException {
      session.close();
    }
  }

  private static boolean runGolden(Classifier classifier) throws OrtException, IOException {
    JsonNode rows = JSON.readTree(new File("golden.json"));
    var texts = new ArrayList<byte[]>();
    rows.forEach(row -> texts.add(HexFormat.of().parseHex(row.get("bytes").asText())));
    var alone = new float[texts.size()][];
    for (int i = 0; i < alone.length; i++) {
      alone[i] = classifier.predict(texts.subList(i, i + 1))[0];
    }
    long start = System.nanoTime();
    for (byte[] text : texts) {
      classifier.predict(List.of(text));
    }
    double microseconds = (System.nanoTime() - start) / 1e3 / texts.size();
    double largest = Math.max(compare(rows, alone, "alone"), compare(rows, classifier.predict(texts), "in a batch"));
    if (Double.isInfinite(largest)) {
      return false;
    }
    System.out.printf(Locale.ROOT, "onnxruntime %s: %d of %d right, largest difference %.2g, %.0f us a text%n",
        classifier.environment.getVersion(), 2 * rows.size(), 2 * rows.size(), largest, microseconds);
    return true;
  }

  /** Returns the largest difference, or infinity if one is larger than its tolerance. */
  private static double compare(JsonNode rows, float[][] answers, String where) {
    double largest = 0;
    for (int i = 0; i < answers.length; i++) {
      double tolerance = rows.get(i).get("tolerance").asDouble();
      for (int label = 0; label < answers[i].length; label++) {
        double difference = Math.abs(rows.get(i).get("text_probs").get(label).asDouble() - answers[i][label]);
        if (!(difference <= tolerance)) {
          System.out.printf(Locale.ROOT, "golden text %d %s: off by %.3g, more than %.3g%n", i, where, difference, tolerance);
          return Double.POSITIVE_INFINITY;
        }
        largest = Math.max(largest, difference);
      }
    }
    return largest;
  }

  public static void main(String[] arguments) throws OrtException, IOException {
    if (arguments.length != 1) {
      System.err.println("usage: Main TEXT | --golden");
      System.exit(2);
    }
    try (var classifier = new Classifier("model.text.onnx")) {
      if (arguments[0].equals("--golden")) {
        if (!runGolden(classifier)) {
          System.exit(1);
        }
        return;
      }
      float[] probs = classifier.predict(List.of(arguments[0].getBytes(StandardCharsets.UTF_8)))[0];
      int best = 0;
      for (int i = 1; i < probs.length; i++) {
        best = probs[i] > probs[best] ? i : best;
      }
      System.out.printf(Locale.ROOT, "%s\t%.6f%n", classifier.labels.get(best), probs[best]);
    }
  }
}
