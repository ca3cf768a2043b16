package rnnx.tagger;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;

/** Compares a tagger with its golden vectors. */
final class Golden {
  private final JsonObject golden;
  private final PrintStream out;
  private double largest;
  private int count;

  Golden(JsonObject golden, PrintStream out) {
    this.golden = golden;
    this.out = out;
  }

  /** Returns whether all are right, and prints the result or the first difference. */
  boolean run(Tagger tagger) {
    JsonArray texts = golden.getAsJsonArray("texts");
    for (int i = 0; i < texts.size(); i++) {
      JsonObject row = texts.get(i).getAsJsonObject();
      if (!toJson(tagger.split(parse(row.get("bytes")))).equals(row.get("sentences"))) {
        out.printf(Locale.ROOT, "golden text %d: other sentences or words%n", i);
        return false;
      }
    }
    JsonArray rows = golden.getAsJsonArray("sentences");
    var sentences = new ArrayList<List<byte[]>>();
    for (JsonElement row : rows) {
      var words = new ArrayList<byte[]>();
      row.getAsJsonObject().getAsJsonArray("bytes").forEach(word -> words.add(parse(word)));
      sentences.add(words);
    }
    var alone = new ArrayList<float[][]>();
    long start = System.nanoTime();
    for (List<byte[]> sentence : sentences) {
      alone.add(tagger.compute(List.of(sentence)).get(0));
    }
    double microseconds = (System.nanoTime() - start) / 1e3 / rows.size();
    List<float[][]> together = tagger.compute(sentences);
    for (int i = 0; i < rows.size(); i++) {
      JsonObject row = rows.get(i).getAsJsonObject();
      boolean isRightAlone = agree(tagger, row, sentences.get(i), alone.get(i));
      if (!isRightAlone || !agree(tagger, row, sentences.get(i), together.get(i))) {
        String where = isRightAlone ? "in a batch" : "alone";
        out.printf(Locale.ROOT, "golden sentence %d %s: other ids or tags, or another probability%n", i, where);
        return false;
      }
    }
    out.printf(Locale.ROOT, "onnxruntime %s: %d of %d right, largest difference %.2g, %.0f us a sentence%n",
        tagger.version(), count, count, largest, microseconds);
    return true;
  }

  private boolean agree(Tagger tagger, JsonObject row, List<byte[]> words, float[][] probs) {
    for (int i = 0; i < words.size(); i++) {
      int[] ids = tagger.lookUp(words.get(i));
      JsonArray features = row.getAsJsonArray("features").get(i).getAsJsonArray();
      boolean isRight = ids[0] == row.getAsJsonArray("ids").get(i).getAsInt() && ids.length == features.size() + 1;
      for (int k = 0; isRight && k < features.size(); k++) {
        isRight = ids[k + 1] == features.get(k).getAsInt();
      }
      int best = Tagger.largest(probs[i]);
      double difference = Math.abs(row.getAsJsonArray("probabilities").get(i).getAsDouble() - probs[i][best]);
      isRight &= row.getAsJsonArray("tags").size() == words.size()
          && tagger.tags().get(best).equals(row.getAsJsonArray("tags").get(i).getAsString());
      if (!isRight || !(difference <= row.get("tolerance").getAsDouble())) {
        return false;
      }
      largest = Math.max(largest, difference);
    }
    count += words.size();
    return true;
  }

  static JsonArray toJson(List<List<Rule.Span>> sentences) {
    var all = new JsonArray();
    for (List<Rule.Span> spans : sentences) {
      var sentence = new JsonArray();
      for (Rule.Span span : spans) {
        var pair = new JsonArray();
        pair.add(span.start());
        pair.add(span.end());
        sentence.add(pair);
      }
      all.add(sentence);
    }
    return all;
  }

  static byte[] parse(JsonElement hex) {
    return HexFormat.of().parseHex(hex.getAsString());
  }
}
