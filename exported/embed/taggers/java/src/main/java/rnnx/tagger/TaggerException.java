package rnnx.tagger;

/** The model cannot be read or run. The cause is the exception of Java or of onnxruntime, if there is one. */
public final class TaggerException extends RuntimeException {
  private static final long serialVersionUID = 1;

  TaggerException(String message, Throwable cause) {
    super(message, cause);
  }
}
