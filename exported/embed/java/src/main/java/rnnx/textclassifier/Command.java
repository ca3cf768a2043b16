package rnnx.textclassifier;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** The command around the library: {@code java -jar target/rnnx-text-classifier.jar --help}. */
final class Command {
  private static final String USAGE = """
      usage: rnnx-text-classifier [--model FOLDER] TEXT | --file PATH | --golden | --help

        TEXT            prints the label of a text and its probability
        -- TEXT         the same, for a text that looks like an option
        --file PATH     reads the text from a file; - is the standard input
        --golden        compares with golden.json; exits with 1 at the first difference
        --model FOLDER  takes the model and golden.json from a folder, not from the package

      Without a text, it comes from the standard input.
      """;
  // Labels may have any character, also where the locale has few.
  private static final PrintStream OUT =
      new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
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
      code = run(new ArrayList<>(List.of(arguments)));
    } catch (ClassifierException error) {
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
    Path folder = null;
    if (words.size() > 1 && words.get(0).equals("--model")) {
      folder = Path.of(words.get(1));
      words.subList(0, 2).clear();
    }
    if (words.equals(List.of("--golden"))) {
      return runGolden(folder);
    }
    byte[] text = readText(words);
    if (text == null) {
      ERR.print(USAGE);
      return 2;
    }
    try (Classifier classifier = load(folder)) {
      Prediction prediction = classifier.predict(text);
      OUT.printf(Locale.ROOT, "%s\t%.6f%n", prediction.label(), prediction.probability());
    }
    return 0;
  }

  private static Classifier load(Path folder) {
    return folder == null ? Classifier.load() : Classifier.load(folder);
  }

  private static int runGolden(Path folder) throws IOException {
    String name = "golden.json";
    byte[] json = folder == null ? Resources.read(name) : readFile(folder.resolve(name));
    try (Classifier classifier = load(folder)) {
      return new Golden(json, OUT).run(classifier) ? 0 : 1;
    }
  }

  /** The text that the arguments name, as bytes; null if they are wrong. */
  private static byte[] readText(List<String> words) throws IOException {
    if (words.isEmpty() || words.equals(List.of("--file", "-"))) {
      return System.in.readAllBytes();
    }
    if (words.size() == 2 && words.get(0).equals("--file")) {
      return readFile(Path.of(words.get(1)));
    }
    if (words.size() == 2 && words.get(0).equals("--")) {
      return readArgument(words.get(1));
    }
    return words.size() == 1 && !words.get(0).matches("--?[a-z-]*") ? readArgument(words.get(0)) : null;
  }

  private static byte[] readFile(Path file) throws IOException {
    try {
      return Files.readAllBytes(file);
    } catch (IOException error) {
      throw new IOException("cannot read " + file + ": " + Resources.describe(error), error);
    }
  }

  /** The bytes of an argument. Java has decoded it by the locale, which loses what the locale does not have. */
  private static byte[] readArgument(String text) throws IOException {
    String locale = System.getProperty("sun.jnu.encoding", "UTF-8");
    boolean isLost = text.indexOf('\ufffd') >= 0 && !Charset.forName(locale).equals(StandardCharsets.UTF_8);
    if (isLost) {
      throw new IOException("the locale (" + locale + ") has no name for a character of the text;"
          + " set LC_ALL=C.UTF-8, or use --file or the standard input");
    }
    return Utf8.encode(text);
  }
}
