package rnnx.textclassifier;

import java.io.IOException;
import java.nio.file.NoSuchFileException;

/** The files of this package. */
final class Resources {
  private Resources() {}

  /** Reads a file of this package. */
  static byte[] read(String name) {
    try (var stream = Resources.class.getResourceAsStream(name)) {
      if (stream == null) {
        throw new ClassifierException("cannot read " + name + ": it is not in this package", null);
      }
      return stream.readAllBytes();
    } catch (IOException error) {
      throw new ClassifierException("cannot read " + name + " of this package: " + describe(error), error);
    }
  }

  /** What went wrong with a file, in words: the message of a missing file is its path alone. */
  static String describe(IOException error) {
    return error instanceof NoSuchFileException ? "no such file" : error.getMessage();
  }
}
