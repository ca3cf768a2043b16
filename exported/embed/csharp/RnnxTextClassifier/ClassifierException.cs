namespace RnnxTextClassifier;

/// <summary>The model cannot be read or run. <c>InnerException</c> is the reason.</summary>
public sealed class ClassifierException : Exception
{
    /// <summary>Makes an exception with a message and a reason.</summary>
    public ClassifierException(string message, Exception? innerException = null) : base(message, innerException)
    {
    }
}
