package rnnx.textstream;

import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import com.sun.jna.Library;
import com.sun.jna.Native;
import com.sun.jna.Platform;

/** Keeps onnxruntime from collecting telemetry, unless ORT_DISABLE_TELEMETRY is set. */
final class Telemetry {
  private static final String VARIABLE = "ORT_DISABLE_TELEMETRY";

  /** The function of the C library that sets a variable: Java sets none, and onnxruntime reads it when it starts. */
  private interface C extends Library {
    int setenv(String name, String value, int overwrite);
  }

  private Telemetry() {}

  /** Returns the environment of onnxruntime, started without telemetry. */
  static OrtEnvironment startEnvironment() {
    if (System.getenv(VARIABLE) != null) {
      return OrtEnvironment.getEnvironment();
    }
    try {
      if (!Platform.isWindows()) {
        Native.load("c", C.class).setenv(VARIABLE, "1", 0);
        return OrtEnvironment.getEnvironment();
      }
      var environment = OrtEnvironment.getEnvironment();
      environment.setTelemetry(false); // on Windows, nothing is sent until a session is made
      return environment;
    } catch (LinkageError | OrtException error) {
      throw new StreamException("cannot start onnxruntime without telemetry; set " + VARIABLE + "=1", error);
    }
  }
}
