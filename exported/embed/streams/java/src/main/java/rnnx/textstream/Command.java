package rnnx.textstream;

import com.google.gson.JsonArray;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.ByteArrayInputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.math.MathContext;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** The command around the library: {@code java -jar target/rnnx-text-stream.jar --help}. */
final class Command {
  private static final String USAGE = """
      usage: rnnx-text-stream TEXT | --file PATH | --golden | --help

        TEXT          prints the label of a text and its probability
        -- TEXT       the same, for a text that looks like an option
        --file PATH   prints the answer so far after each line of a file; - is the standard input
        --golden      compares with golden.json; exits with 1 at the first difference

      Without arguments, the text comes from the standard input.
      """;
  private static final PrintStream OUT =
      new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
  private static final PrintStream ERR =
      new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8);
  private static final MathContext SEVEN_DIGITS = new MathContext(7);

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
    } catch (StreamException error) {
      // Only the first line: onnxruntime's own messages may have more.
      ERR.println("error: " + error.getMessage().lines().findFirst().orElse(""));
      code = 1;
    } catch (IOException error) {
      ERR.println("error: " + error.getMessage());
      code = 1;
    }
    System.exit(code);
  }

  private static int run(List<String> words) throws IOException {
    if (words.equals(List.of("--help")) || words.equals(List.of("-h"))) {
      OUT.print(USAGE);
      return 0;
    }
    if (words.equals(List.of("--golden"))) {
      JsonArray rows = readGolden();
      try (StreamModel model = StreamModel.load()) {
        return Golden.run(model, rows, OUT) ? 0 : 1;
      }
    }
    boolean isAfterDashes = words.size() == 2 && words.get(0).equals("--");
    boolean isText = words.size() == 1 && !words.get(0).matches("--?[a-z-]*");
    try (InputStream stream = isAfterDashes || isText ? toStream(words.get(words.size() - 1)) : openFile(words)) {
      if (stream == null) {
        ERR.print(USAGE);
        return 2;
      }
      try (StreamModel model = StreamModel.load()) {
        answerLines(model, stream, isAfterDashes || isText);
      }
    }
    return 0;
  }

  private static JsonArray readGolden() {
    String json = new String(Resources.read(null, "golden.json"), StandardCharsets.UTF_8);
    try {
      return JsonParser.parseString(json).getAsJsonArray();
    } catch (JsonParseException | IllegalStateException error) {
      throw new StreamException("golden.json of this package is not JSON: " + error.getMessage(), error);
    }
  }

  private static InputStream toStream(String text) {
    return new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8));
  }

  /** The file that the arguments name; null if they are wrong. */
  private static InputStream openFile(List<String> words) throws IOException {
    if (words.isEmpty() || words.equals(List.of("--file", "-"))) {
      return System.in;
    }
    if (words.size() != 2 || !words.get(0).equals("--file")) {
      return null;
    }
    Path file = Path.of(words.get(1));
    try {
      return Files.newInputStream(file);
    } catch (IOException error) {
      throw new IOException("cannot read " + file + ": " + Resources.describe(error), error);
    }
  }

  /** Prints the answer so far after each line as it comes, unless at the end alone; and after the word at the end. */
  private static void answerLines(StreamModel model, InputStream stream, boolean isAtEndAlone) throws IOException {
    State state = model.begin();
    boolean isAnswered = false;
    var buffer = new byte[1 << 16];
    for (int size; (size = stream.read(buffer)) > 0;) {
      for (int start = 0; start < size;) {
        int end = start;
        while (end < size && buffer[end] != '\n') {
          end++;
        }
        boolean isLine = end < size;
        end = isLine ? end + 1 : end;
        Step step = model.step(state, Arrays.copyOfRange(buffer, start, end));
        String said = isLine && !isAtEndAlone ? format(step.answer()) : "";
        if (!said.isEmpty()) {
          OUT.println(said);
        }
        isAnswered = !said.isEmpty();
        state = step.state();
        start = end;
      }
    }
    Answer last = model.finish(state).answer();
    if (!last.words().isEmpty() || !isAnswered) {
      OUT.println(format(last));
    }
  }

  /** The answer as a line; empty before the first word. */
  private static String format(Answer answer) {
    if (answer.number().isPresent()) {
      var number = new BigDecimal(answer.number().getAsDouble()).round(SEVEN_DIGITS);
      return number.signum() == 0 ? "0" : number.stripTrailingZeros().toPlainString();
    }
    return answer.label()
        .map(label -> String.format(Locale.ROOT, "%s\t%.6f", label, answer.probability().getAsDouble()))
        .orElse("");
  }
}
