import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Map;

/** The shortest way from a text to its probabilities. */
public final class Snippet {
  public static void main(String[] arguments) throws Exception {
    // snippet
    // Start the program with ORT_DISABLE_TELEMETRY=1: from 1.29 on, onnxruntime collects telemetry on Linux.
    var environment = OrtEnvironment.getEnvironment();
    var session = environment.createSession("model.text.onnx");
    byte[] text = "A wonderful film.".getBytes("UTF-8");
    var bytes = ByteBuffer.allocateDirect(text.length).put(0, text);
    var input = OnnxTensor.createTensor(environment, bytes, new long[] {1, text.length}, OnnxJavaType.UINT8);
    float[][] probs = (float[][]) session.run(Map.of("text", input)).get(0).getValue();
    System.out.println(Arrays.toString(probs[0])); // one probability per label
    // end
  }

  private Snippet() {}
}
