package rnnx.textstream;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;

/** Everything between two chunks. It never changes: a step makes another one. */
public final class State {
  private final Map<String, float[]> arrays; // the states of the network by name
  private final long positions;
  private final byte[] held; // a word that may go on
  private final float[] latest; // the outputs of the network so far; empty before the first word

  State(Map<String, float[]> arrays, long positions, byte[] held, float[] latest) {
    this.arrays = arrays;
    this.positions = positions;
    this.held = held;
    this.latest = latest;
  }

  /**
   * Returns how many positions were read.
   *
   * @return the number of words, and one more if texts have a start
   */
  public long positions() {
    return positions;
  }

  Map<String, float[]> arrays() {
    return arrays;
  }

  byte[] held() {
    return held;
  }

  float[] latest() {
    return latest;
  }

  /**
   * Writes the state as JSON, which the packages for other languages read too.
   *
   * @return one line
   */
  public String toJson() {
    var all = new JsonObject();
    arrays.forEach((name, values) -> all.add(name, toArray(values)));
    var state = new JsonObject();
    state.add("arrays", all);
    state.addProperty("positions", positions);
    state.addProperty("held", HexFormat.of().formatHex(held));
    state.add("latest", toArray(latest));
    return state.toString();
  }

  /**
   * Reads a state that a package of this or of another language wrote.
   *
   * @param json what {@link #toJson()} returned
   * @return the state
   * @throws StreamException if it is something else
   */
  public static State fromJson(String json) {
    try {
      JsonObject state = JsonParser.parseString(json).getAsJsonObject();
      var arrays = new LinkedHashMap<String, float[]>();
      for (Map.Entry<String, JsonElement> entry : state.getAsJsonObject("arrays").entrySet()) {
        arrays.put(entry.getKey(), toFloats(entry.getValue().getAsJsonArray()));
      }
      byte[] held = HexFormat.of().parseHex(state.get("held").getAsString());
      return new State(arrays, state.get("positions").getAsLong(), held, toFloats(state.getAsJsonArray("latest")));
    } catch (RuntimeException error) { // gson's errors have no class in common
      throw new StreamException("this is not a state: " + error.getMessage(), error);
    }
  }

  private static JsonArray toArray(float[] values) {
    var array = new JsonArray();
    for (float value : values) {
      array.add(value);
    }
    return array;
  }

  private static float[] toFloats(JsonArray array) {
    var values = new float[array.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = array.get(i).getAsFloat();
      if (!Float.isFinite(values[i])) {
        throw new IllegalArgumentException(values[i] + " is not finite");
      }
    }
    return values;
  }

  @Override
  public String toString() {
    return "State[" + positions + " positions, " + held.length + " bytes held, " + Arrays.toString(latest) + "]";
  }
}
