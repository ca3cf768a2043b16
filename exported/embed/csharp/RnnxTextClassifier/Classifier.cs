using System.Text;
using System.Text.Json;
using Microsoft.ML.OnnxRuntime;

namespace RnnxTextClassifier;

/// <summary>A text model in memory. Threads may share one.</summary>
public sealed class Classifier : IDisposable
{
    private const string ModelName = "model.text.onnx";
    private const int MostBytes = 1 << 20; // of a batch: a long text does not widen the rows of many short ones
    private const int MostTexts = 1024; // of a batch

    private readonly InferenceSession session;

    private Classifier(InferenceSession session, string[] labels)
    {
        this.session = session;
        Labels = labels;
    }

    /// <summary>The labels, in the order of <see cref="Prediction.Probs"/>.</summary>
    public IReadOnlyList<string> Labels { get; }

    /// <summary>Loads a model.</summary>
    /// <param name="folder">A folder with <c>model.text.onnx</c>; null for the model of this package.</param>
    /// <exception cref="ClassifierException">The file is missing or damaged.</exception>
    public static Classifier Load(string? folder = null)
    {
        string name = folder is null ? ModelName : Path.Combine(folder, ModelName);
        byte[] model = folder is null ? ReadResource() : ReadFile(name);
        InferenceSession? session = null;
        try
        {
            using var options = new SessionOptions { IntraOpNumThreads = 1 }; // a recurrence only loses by more
            session = new InferenceSession(model, options);
            return new Classifier(session, ReadLabels(session));
        }
        catch (Exception error) when (error is OnnxRuntimeException or KeyNotFoundException or JsonException
            or InvalidOperationException)
        {
            session?.Dispose();
            throw new ClassifierException($"{name} is not a whole model: {error.Message}", error);
        }
    }

    /// <summary>Reads one text, which may be empty.</summary>
    /// <exception cref="ClassifierException">The model cannot be run.</exception>
    public Prediction Predict(string text) => Predict(Encoding.UTF8.GetBytes(text));

    /// <summary>Reads one text: bytes, which need not be UTF-8.</summary>
    /// <exception cref="ClassifierException">The model cannot be run.</exception>
    public Prediction Predict(byte[] text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return PredictMany([text])[0];
    }

    /// <summary>Reads many texts, and answers in their order.</summary>
    /// <exception cref="ClassifierException">The model cannot be run.</exception>
    public IReadOnlyList<Prediction> PredictMany(IEnumerable<string> texts) =>
        PredictMany(texts.Select(text => Encoding.UTF8.GetBytes(text)));

    /// <summary>Reads many texts: bytes, which need not be UTF-8. Answers in their order.</summary>
    /// <exception cref="ClassifierException">The model cannot be run.</exception>
    public IReadOnlyList<Prediction> PredictMany(IEnumerable<byte[]> texts)
    {
        byte[][] rows = texts.ToArray();
        var predictions = new Prediction[rows.Length];
        foreach (int[] batch in ToBatches(rows))
        {
            float[][] answers = ComputeProbs(Array.ConvertAll(batch, i => rows[i]));
            for (int row = 0; row < batch.Length; row++)
            {
                predictions[batch[row]] = Describe(answers[row]);
            }
        }
        return predictions;
    }

    /// <summary>Texts, in one batch, to probabilities. Rows are padded with zeros; an empty text is one zero.</summary>
    /// <exception cref="ClassifierException">The model cannot be run.</exception>
    public float[][] ComputeProbs(IReadOnlyList<byte[]> texts)
    {
        if (texts.Count == 0)
        {
            return [];
        }
        int width = Math.Max(1, texts.Max(text => text.Length));
        var rows = new byte[texts.Count * width];
        for (int i = 0; i < texts.Count; i++)
        {
            texts[i].CopyTo(rows, i * width);
        }
        float[] probs = Run(rows, [texts.Count, width]);
        if (probs.Length != texts.Count * Labels.Count)
        {
            throw new ClassifierException("the model cannot be run: its labels are not those of its output");
        }
        return probs.Chunk(Labels.Count).ToArray();
    }

    /// <summary>Frees the model.</summary>
    public void Dispose() => session.Dispose();

    private static byte[] ReadFile(string path)
    {
        try
        {
            return File.ReadAllBytes(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new ClassifierException($"cannot read {path}: {error.Message}", error);
        }
    }

    private static byte[] ReadResource()
    {
        using Stream stream = typeof(Classifier).Assembly.GetManifestResourceStream(ModelName)
            ?? throw new ClassifierException($"cannot read {ModelName}: it is not in the package");
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }

    /// <summary>The file says itself what its outputs mean.</summary>
    private static string[] ReadLabels(InferenceSession session)
    {
        using var about = JsonDocument.Parse(session.ModelMetadata.CustomMetadataMap["rnnx"]);
        string[] labels = [.. about.RootElement.GetProperty("labels").EnumerateArray().Select(label => label.GetString()!)];
        return labels.Length > 0 ? labels : throw new InvalidOperationException("its metadata has no labels");
    }

    /// <summary>Positions of texts in batches of similar lengths.</summary>
    private static List<int[]> ToBatches(byte[][] texts)
    {
        var batches = new List<int[]>();
        var batch = new List<int>();
        foreach (int i in Enumerable.Range(0, texts.Length).OrderBy(i => texts[i].Length))
        {
            bool isFull = batch.Count == MostTexts || (batch.Count + 1L) * texts[i].Length > MostBytes;
            if (batch.Count > 0 && isFull)
            {
                batches.Add([.. batch]);
                batch.Clear();
            }
            batch.Add(i);
        }
        if (batch.Count > 0)
        {
            batches.Add([.. batch]);
        }
        return batches;
    }

    private float[] Run(byte[] rows, long[] shape)
    {
        try
        {
            using var text = OrtValue.CreateTensorValueFromMemory(rows, shape);
            using var run = new RunOptions();
            using var outputs = session.Run(run, ["text"], [text], ["probs"]);
            return outputs[0].GetTensorDataAsSpan<float>().ToArray();
        }
        catch (OnnxRuntimeException error)
        {
            throw new ClassifierException($"the model cannot be run: {error.Message}", error);
        }
    }

    private Prediction Describe(float[] probs)
    {
        int best = Array.IndexOf(probs, probs.Max());
        return new Prediction(Labels[best], probs[best], probs);
    }
}
