// Text in, label and probability out, with onnxruntime alone.
//
//   dotnet run -c Release -- "A wonderful film."    prints the label and its probability
//   dotnet run -c Release -- --golden               compares with golden.json; exits with 1 at the first difference
//
// Run it where model.text.onnx and golden.json lie.

using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;

if (args.Length != 1)
{
    Console.Error.WriteLine("usage: main TEXT | --golden");
    return 2;
}
using var classifier = new Classifier("model.text.onnx");
if (args[0] == "--golden")
{
    return Golden.Run(classifier);
}
float[] answer = classifier.Predict([Encoding.UTF8.GetBytes(args[0])])[0];
int best = Array.IndexOf(answer, answer.Max());
Console.WriteLine($"{classifier.Labels[best]}\t{answer[best]:F6}");
return 0;

/// <summary>A loaded text model.</summary>
sealed class Classifier : IDisposable
{
    private readonly InferenceSession session;

    public string[] Labels { get; }

    public Classifier(string path)
    {
        using var options = new SessionOptions { IntraOpNumThreads = 1 }; // a recurrence only loses by more
        session = new InferenceSession(path, options);
        // The file says itself what its outputs mean.
        using var about = JsonDocument.Parse(session.ModelMetadata.CustomMetadataMap["rnnx"]);
        Labels = [.. about.RootElement.GetProperty("labels").EnumerateArray().Select(label => label.GetString()!)];
    }

    /// <summary>Texts to probabilities, one per label. Rows are padded with zeros; an empty text is one zero.</summary>
    public float[][] Predict(byte[][] texts)
    {
        int width = Math.Max(1, texts.Max(text => text.Length));
        var rows = new byte[texts.Length * width];
        for (int i = 0; i < texts.Length; i++)
        {
            texts[i].CopyTo(rows, i * width);
        }
        using var text = OrtValue.CreateTensorValueFromMemory(rows, [texts.Length, width]);
        using var run = new RunOptions();
        using var outputs = session.Run(run, ["text"], [text], ["probs"]);
        return outputs[0].GetTensorDataAsSpan<float>().ToArray().Chunk(Labels.Length).ToArray();
    }

    public void Dispose() => session.Dispose();
}

static class Golden
{
    public static int Run(Classifier classifier)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes("golden.json"));
        JsonElement[] rows = [.. document.RootElement.EnumerateArray()];
        byte[][] texts = [.. rows.Select(row => Convert.FromHexString(row.GetProperty("bytes").GetString()!))];
        float[][] alone = [.. texts.Select(text => classifier.Predict([text])[0])];
        var watch = Stopwatch.StartNew();
        foreach (byte[] text in texts)
        {
            classifier.Predict([text]);
        }
        double microseconds = watch.Elapsed.TotalMicroseconds / texts.Length;
        double largest = 0;
        foreach ((string where, float[][] answers) in new[] { ("alone", alone), ("in a batch", classifier.Predict(texts)) })
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
