namespace RnnxTextClassifier;

/// <summary>The answer to a text.</summary>
/// <param name="Label">The most probable label.</param>
/// <param name="Probability">Its probability.</param>
/// <param name="Probs">The probability of each label, in the order of <see cref="Classifier.Labels"/>.</param>
public sealed record Prediction(string Label, float Probability, IReadOnlyList<float> Probs);
