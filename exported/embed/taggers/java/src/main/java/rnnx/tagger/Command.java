package rnnx.tagger;

import com.google.gson.JsonParser;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/** The command around the library: {@code java -jar target/rnnx-tagger.jar --help}. */
final class Command {
  private static final String USAGE = """
      usage: rnnx-tagger TEXT | --file PATH | --golden | --help

        TEXT          prints the words of a text: sentence, word, tag, probability
        -- TEXT       the same, for a text that looks like an option
        --file PATH   reads the text from a file; - is the standard input
        --golden      compares with golden.json; exits with 1 at the first difference

      Without arguments, the text comes from the standard input.
      """;
  private static final PrintStream OUT =
      new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);
  private static final PrintStream ERR =
      new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8);

  private Command() {}

  /**
   * Runs the command, and exits with 1 if a model or a file cannot be read, and with 2 if the arguments are wrong.
   *
   * @param arguments see the usage
   */
  public static void main(String[] arguments) {
    int code;
    try {
      code = run(List.of(arguments));
    } catch (TaggerException error) {
      // Only the first line: onnxruntime's own messages may have more.
      ERR.println("error: " + error.getMessage().lines().findFirst().orElse(""));
      code = 1;
    } catch (IOException error) {
      ERR.println("error: " + error.getMessage());
      code = 1;
    }
    OUT.flush();
    System.exit(code);
  }

  private static int run(List<String> words) throws IOException {
    if (words.equals(List.of("--help")) || words.equals(List.of("-h"))) {
      OUT.print(USAGE);
      return 0;
    }
    if (words.equals(List.of("--golden"))) {
      String json = new String(Resources.read(null, "golden.json"), StandardCharsets.UTF_8);
      try (Tagger tagger = Tagger.load()) {
        return new Golden(JsonParser.parseString(json).getAsJsonObject(), OUT).run(tagger) ? 0 : 1;
      }
    }
    byte[] text = readText(words);
    if (text == null) {
      ERR.print(USAGE);
      return 2;
    }
    try (Tagger tagger = Tagger.load()) {
      int number = 0;
      for (List<Word> sentence : tagger.tag(text)) {
        number++;
        for (Word word : sentence) {
          String shown = word.text().replaceAll("[\\x00-\\x1f\\x7f-\\x9f]", "?"); // no control characters
          OUT.printf(Locale.ROOT, "%d\t%s\t%s\t%.6f\n", number, shown, word.tag(), word.probability());
        }
      }
    }
    return 0;
  }

  /** The text that the arguments name, as bytes; null if they are wrong. */
  private static byte[] readText(List<String> words) throws IOException {
    if (words.isEmpty() || words.equals(List.of("--file", "-"))) {
      return System.in.readAllBytes();
    }
    if (words.size() == 2 && words.get(0).equals("--file")) {
      Path file = Path.of(words.get(1));
      try {
        return Files.readAllBytes(file);
      } catch (IOException error) {
        throw new IOException("cannot read " + file + ": " + Resources.describe(error), error);
      }
    }
    if (words.size() == 2 && words.get(0).equals("--")) {
      return words.get(1).getBytes(StandardCharsets.UTF_8);
    }
    boolean isText = words.size() == 1 && !words.get(0).matches("--?[a-z-]*");
    return isText ? words.get(0).getBytes(StandardCharsets.UTF_8) : null;
  }
}
