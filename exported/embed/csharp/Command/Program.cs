// The command around the library.

using System.Text;
using RnnxTextClassifier;
using RnnxTextClassifier.Command;

const string Usage = """
    usage: rnnx-text-classifier TEXT | --file PATH | --golden | --help

      TEXT          prints the label of a text and its probability
      -- TEXT       the same, for a text that looks like an option
      --file PATH   reads the text from a file; - is the standard input
      --golden      compares with golden.json; exits with 1 at the first difference

    Without arguments, the text comes from the standard input, unless that is a terminal.
    """;

try
{
    if (args is ["--help"] or ["-h"])
    {
        Console.WriteLine(Usage);
        return 0;
    }
    if (args is ["--golden"])
    {
        using var classifier = Classifier.Load();
        return Golden.Run(classifier);
    }
    if (ReadText(args) is not { } text)
    {
        Console.Error.WriteLine(Usage);
        return 2;
    }
    return Print(text);
}
catch (Exception error) when (error is ClassifierException or IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine($"error: {error.Message}");
    return 1;
}

static bool LooksLikeAnOption(string word) =>
    word.StartsWith('-') && word.All(letter => letter is '-' or (>= 'a' and <= 'z'));

// The text that the arguments name, as bytes; null if they are wrong.
static byte[]? ReadText(string[] args) => args switch
{
    [] => Console.IsInputRedirected ? ReadStandardInput() : null,
    ["--file", "-"] => ReadStandardInput(),
    ["--file", var path] => File.ReadAllBytes(path),
    ["--", var text] => Encoding.UTF8.GetBytes(text),
    [var text] => LooksLikeAnOption(text) ? null : Encoding.UTF8.GetBytes(text),
    _ => null,
};

static byte[] ReadStandardInput()
{
    using Stream input = Console.OpenStandardInput();
    using var bytes = new MemoryStream();
    input.CopyTo(bytes);
    return bytes.ToArray();
}

static int Print(byte[] text)
{
    using var classifier = Classifier.Load();
    Prediction prediction = classifier.Predict(text);
    Console.WriteLine($"{prediction.Label}\t{prediction.Probability:F6}");
    return 0;
}
