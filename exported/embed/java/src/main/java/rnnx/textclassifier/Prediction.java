package rnnx.textclassifier;

import java.util.List;

/**
 * The answer to a text.
 *
 * @param label the most probable label
 * @param probability the probability of that label
 * @param probs the probability of each label, in the order of {@link Classifier#labels()}
 */
public record Prediction(String label, float probability, List<Float> probs) {
  /** Keeps a copy of the probabilities, which nobody can change. */
  public Prediction {
    probs = List.copyOf(probs);
  }
}
