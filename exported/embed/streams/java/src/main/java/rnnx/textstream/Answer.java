package rnnx.textstream;

import java.util.List;
import java.util.Optional;
import java.util.OptionalDouble;

/**
 * The answer after a chunk, for everything that was read so far.
 *
 * @param words the words that the chunk finished; what is not UTF-8 is U+FFFD
 * @param label the label; missing before the first word, and of a model that gives a number
 * @param probability its probability
 * @param probs the probability of each label, in the order of {@link StreamModel#labels()}
 * @param number the number of a model that gives one; missing before the first word
 */
public record Answer(
    List<String> words, Optional<String> label, OptionalDouble probability, List<Double> probs, OptionalDouble number) {}
