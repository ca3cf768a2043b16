package rnnx.textclassifier;

import com.google.gson.Gson;
import com.google.gson.annotations.SerializedName;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;

/** The golden vectors: texts with the probabilities of the reference in float64. */
final class Golden {
  private static final class Row {
    String bytes;
    @SerializedName("text_probs")
    double[] probs;
    double tolerance;
  }

  private final Row[] rows;
  private final List<byte[]> texts = new ArrayList<>();
  private final PrintStream out;
  private double largest;

  /** Reads golden.json; prints to {@code out}. */
  Golden(byte[] json, PrintStream out) {
    rows = new Gson().fromJson(new String(json, StandardCharsets.UTF_8), Row[].class);
    for (Row row : rows) {
      texts.add(HexFormat.of().parseHex(row.bytes));
    }
    this.out = out;
  }

  /** Compares a model with the vectors, alone and in one batch; false at the first difference. */
  boolean run(Classifier classifier) {
    var alone = new float[rows.length][];
    for (int i = 0; i < rows.length; i++) {
      alone[i] = classifier.computeProbs(texts.subList(i, i + 1))[0];
    }
    long start = System.nanoTime();
    for (byte[] text : texts) {
      classifier.computeProbs(List.of(text));
    }
    double microseconds = (System.nanoTime() - start) / 1e3 / rows.length;
    if (!agree(alone, "alone") || !agree(classifier.computeProbs(texts), "in a batch")) {
      return false;
    }
    out.printf(Locale.ROOT, "onnxruntime %s: %d of %d right, largest difference %.2g, %.0f us a text%n",
        classifier.version(), 2 * rows.length, 2 * rows.length, largest, microseconds);
    return true;
  }

  private boolean agree(float[][] answers, String where) {
    for (int i = 0; i < rows.length; i++) {
      for (int label = 0; label < rows[i].probs.length; label++) {
        double difference = Math.abs(rows[i].probs[label] - answers[i][label]);
        if (!(difference <= rows[i].tolerance)) {
          out.printf(Locale.ROOT, "golden text %d %s: off by %.3g, more than %.3g%n",
              i, where, difference, rows[i].tolerance);
          return false;
        }
        largest = Math.max(largest, difference);
      }
    }
    return true;
  }
}
