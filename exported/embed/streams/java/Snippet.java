import java.util.List;
import rnnx.textstream.Answer;
import rnnx.textstream.State;
import rnnx.textstream.StreamModel;

/** The shortest way from a text in chunks to its label. */
public final class Snippet {
  public static void main(String[] arguments) {
    // snippet
    try (var model = StreamModel.load()) {
      State state = model.begin();
      for (String chunk : List.of("A wonder", "ful film; I loved ", "every minute of it.")) {
        state = model.step(state, chunk).state();
      }
      Answer answer = model.finish(state).answer();
      System.out.println(answer.label().orElse("") + " " + answer.probability().orElse(0));
    }
    // end
  }

  private Snippet() {}
}
