package rnnx.textstream;

/** The model cannot be read or run, or a state is not one of it. The cause is the exception of Java or of onnxruntime. */
public final class StreamException extends RuntimeException {
  private static final long serialVersionUID = 1;

  StreamException(String message, Throwable cause) {
    super(message, cause);
  }
}
