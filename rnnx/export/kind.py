"""The interface through which an export treats each kind of model; `rnnx.export.kinds` implements it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from rnnx.errors import UsageError
from rnnx.export.probes import GoldenInputs, Probes
from rnnx.reference import Network
from rnnx.rewrites.replace import Rewritten
from rnnx.text.ids import IdEncoder
from rnnx.text.tokenizer import Tokenizer
from rnnx.text_form.build import TextForm
from rnnx.text_form.storage import Storage


class Kind(ABC):
    """The steps of an export that depend on the kind of the model.

    The methods that are not abstract have defaults for models that are not text classifiers.
    """

    @property
    @abstractmethod
    def id_encoder(self) -> IdEncoder | None:
        """The encoder that turns texts or words into ids; None for a model that reads numbers or ids."""

    @abstractmethod
    def make_probes(self, network: Network, texts: Sequence[bytes]) -> Probes:
        """Makes the inputs on which Keras and the forms are compared with the reference.

        Args:
            network: The reference.
            texts: The result of `real_texts`.
        """

    @abstractmethod
    def golden_inputs(self, network: Network) -> GoldenInputs:
        """Makes the inputs of the golden vectors, for the evidence and for test data in ONNX's own format."""

    @abstractmethod
    def recorded_problems(self, network: Network, labels: Sequence[str], keras_drift: float | None) -> list[str]:
        """Compares the predictions recorded in training with those of the reference.

        Args:
            network: The reference.
            labels: The labels by label id.
            keras_drift: The largest difference of Keras from the reference on the probes, which include the recorded
                examples; None if it is not finite.

        Returns:
            A sentence for each recorded example that the reference does not reproduce.
        """

    def real_texts(self, more: Sequence[bytes]) -> list[bytes]:
        """Returns the real texts for the probes: the recorded texts, rnnx's own, and `more`."""
        return []

    def golden_rows(
        self, network: Network, labels: Sequence[str], text_form: TextForm | None
    ) -> list[dict[str, object]] | None:
        """Makes the rows of `golden.json`, one object per golden vector; None for a model without that file.

        Args:
            network: The reference.
            labels: The labels by label id.
            text_form: The text form if one was built.
        """
        return None

    def build_text_form(
        self, form: Rewritten, network: Network, storage: Storage, on_stage: Callable[[str], None]
    ) -> TextForm | None:
        """Builds the form that reads raw text; None for a model without one.

        Args:
            form: A proved form with ids as input and probabilities as output.
            network: The reference.
            storage: The number format of its embedding.
            on_stage: Called with the reason if a text classifier gets no text form.

        Raises:
            ModelError: If the embedding cannot be stored in that format.
        """
        return None

    def stream_problem(self, network: Network) -> str | None:
        """Returns the reason, other than its layers, why a model cannot be streamed; None if there is none."""
        return None

    def require_tokenizer(self, name: str) -> Tokenizer:
        """Returns the tokenizer of a text classifier.

        Args:
            name: The model's name, for the message.

        Raises:
            UsageError: If the model is not a text classifier.
        """
        raise UsageError(f"model {name}: has no vocabulary, so it gives no labels for texts")
