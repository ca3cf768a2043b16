package rnnx.textstream;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;

/** Compares a model with its golden texts, in chunks of 1 and 7 bytes and in one. */
final class Golden {
  private static final int[] SIZES = {1, 7, 1 << 20};

  private Golden() {}

  /** Returns whether all are right, and prints the result or the first difference. */
  static boolean run(StreamModel model, JsonArray rows, PrintStream out) {
    double largest = 0;
    long start = System.nanoTime();
    for (int size : SIZES) {
      for (int i = 0; i < rows.size(); i++) {
        double difference = compare(model, rows.get(i).getAsJsonObject(), size);
        if (!(difference <= rows.get(i).getAsJsonObject().get("tolerance").getAsDouble())) {
          out.printf(Locale.ROOT, "golden text %d in chunks of %d: other words, or off by %g%n", i, size, difference);
          return false;
        }
        largest = Math.max(largest, difference);
      }
    }
    int count = SIZES.length * rows.size();
    double microseconds = (System.nanoTime() - start) / 1e3 / count;
    out.printf(Locale.ROOT, "onnxruntime %s: %d of %d right, largest difference %.2g, %.0f us a text%n",
        model.version(), count, count, largest, microseconds);
    return true;
  }

  /** Returns the largest difference of an output; infinity if the words are other ones. */
  private static double compare(StreamModel model, JsonObject row, int size) {
    byte[] text = HexFormat.of().parseHex(row.get("bytes").getAsString());
    var words = new ArrayList<String>();
    State state = model.begin();
    for (int at = 0; at < text.length; at += size) {
      Step step = model.step(state, Arrays.copyOfRange(text, at, Math.min(text.length, at + size)));
      words.addAll(step.answer().words());
      state = step.state();
    }
    Step last = model.finish(state);
    words.addAll(last.answer().words());
    var expected = new ArrayList<Integer>();
    row.getAsJsonArray("ids").forEach(id -> expected.add(id.getAsInt()));
    List<Integer> ids = expected.subList(Math.max(0, expected.size() - words.size()), expected.size());
    JsonArray outputs = row.getAsJsonArray("outputs");
    float[] latest = last.state().latest();
    double largest = ids.equals(model.toIds(words)) && outputs.size() == latest.length ? 0 : Double.POSITIVE_INFINITY;
    for (int i = 0; i < Math.min(latest.length, outputs.size()); i++) {
      largest = Math.max(largest, Math.abs(outputs.get(i).getAsDouble() - latest[i]));
    }
    return largest;
  }
}
