using System.Diagnostics;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;

namespace RnnxTextClassifier.Command;

/// <summary>The golden vectors: texts with their probabilities in float64.</summary>
internal static class Golden
{
    /// <summary>Compares the answers, alone and in one batch; returns the exit code.</summary>
    public static int Run(Classifier classifier)
    {
        using Stream stream = typeof(Golden).Assembly.GetManifestResourceStream("golden.json")
            ?? throw new IOException("golden.json is not in the package");
        using var document = JsonDocument.Parse(stream);
        JsonElement[] rows = [.. document.RootElement.EnumerateArray()];
        byte[][] texts = [.. rows.Select(row => Convert.FromHexString(row.GetProperty("bytes").GetString()!))];
        float[][] alone = [.. texts.Select(text => classifier.ComputeProbs([text])[0])];
        var watch = Stopwatch.StartNew();
        foreach (byte[] text in texts)
        {
            classifier.ComputeProbs([text]);
        }
        double microseconds = watch.Elapsed.TotalMicroseconds / texts.Length;
        double largest = 0;
        foreach ((string where, float[][] answers) in new[] { ("alone", alone), ("in a batch", classifier.ComputeProbs(texts)) })
        {
            for (int i = 0; i < rows.Length; i++)
            {
                double tolerance = rows[i].GetProperty("tolerance").GetDouble();
                foreach ((JsonElement expected, float actual) in rows[i].GetProperty("text_probs").EnumerateArray().Zip(answers[i]))
                {
                    double difference = Math.Abs(expected.GetDouble() - actual);
                    if (!(difference <= tolerance))
                    {
                        Console.WriteLine($"golden text {i} {where}: off by {difference:G3}, more than {tolerance:G3}");
                        return 1;
                    }
                    largest = Math.Max(largest, difference);
                }
            }
        }
        string version = OrtEnv.Instance().GetVersionString();
        int count = 2 * rows.Length;
        Console.WriteLine($"onnxruntime {version}: {count} of {count} right, largest difference {largest:G2}, {microseconds:F0} us a text");
        return 0;
    }
}
