package rnnx.textstream;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** Reads the files of a model: of this package, or of a folder. */
final class Resources {
  private Resources() {}

  /** Reads a file of a folder; of this package, if the folder is null. */
  static byte[] read(Path folder, String name) {
    if (folder == null) {
      return readOwn(name);
    }
    Path file = folder.resolve(name);
    try {
      return Files.readAllBytes(file);
    } catch (IOException error) {
      throw new StreamException("cannot read " + file + ": " + describe(error), error);
    }
  }

  private static byte[] readOwn(String name) {
    try (var stream = Resources.class.getResourceAsStream("model/" + name)) {
      if (stream == null) {
        throw new StreamException("cannot read " + name + ": it is not in this package", null);
      }
      return stream.readAllBytes();
    } catch (IOException error) {
      throw new StreamException("cannot read " + name + " of this package: " + describe(error), error);
    }
  }

  /** What went wrong with a file, in words: the message of a missing file is its path alone. */
  static String describe(IOException error) {
    return error instanceof NoSuchFileException ? "no such file" : error.getMessage();
  }
}
