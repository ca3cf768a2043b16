"""Text in, label and probability out, with onnxruntime and numpy alone."""

from rnnx_text_classifier.classifier import Classifier, ClassifierError, Prediction

__all__ = ["Classifier", "ClassifierError", "Prediction"]
