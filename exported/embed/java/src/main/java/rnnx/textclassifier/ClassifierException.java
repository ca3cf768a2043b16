package rnnx.textclassifier;

/** The model cannot be read or run. The cause is the exception of Java or of onnxruntime, if there is one. */
public final class ClassifierException extends RuntimeException {
  private static final long serialVersionUID = 1;

  ClassifierException(String message, Throwable cause) {
    super(message, cause);
  }
}
