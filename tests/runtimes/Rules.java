package rnnx.tagger;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/** Runs the rules of the kit for Java on the texts of the standard input, as rules.mjs does for Node. */
public final class Rules {
  public static void main(String[] arguments) throws IOException {
    JsonObject config = JsonParser.parseString(Files.readString(Path.of(arguments[0]))).getAsJsonObject();
    String given = new String(System.in.readAllBytes(), StandardCharsets.UTF_8);
    JsonObject input = JsonParser.parseString(given).getAsJsonObject();
    config.add("words", input.get("settings"));
    var known = new ArrayList<String>();
    input.getAsJsonArray("words").forEach(word -> known.add(new String(Golden.parse(word), StandardCharsets.ISO_8859_1)));
    known.add("SUFFIX1=s");
    Rule rule = Tagger.makeRule(config, known);
    var slots = new ArrayList<String>();
    input.getAsJsonObject("settings").getAsJsonArray("features").forEach(slot -> slots.add(slot.getAsString()));
    var found = new JsonArray();
    for (JsonElement hex : input.getAsJsonArray("texts")) {
      byte[] text = Golden.parse(hex);
      List<List<Rule.Span>> sentences = rule.split(text);
      var tokens = new JsonArray();
      for (List<Rule.Span> sentence : sentences) {
        for (Rule.Span span : sentence) {
          tokens.add(lookUp(rule, Arrays.copyOfRange(text, span.start(), span.end()), slots));
        }
      }
      var row = new JsonArray();
      row.add(Golden.toJson(sentences));
      row.add(tokens);
      found.add(row);
    }
    System.out.println(found);
  }

  private static JsonArray lookUp(Rule rule, byte[] word, List<String> slots) {
    var row = new JsonArray();
    for (String token : rule.toTokens(word, slots)) {
      row.add(HexFormat.of().formatHex(token.getBytes(StandardCharsets.ISO_8859_1)));
    }
    return row;
  }

  private Rules() {}
}
