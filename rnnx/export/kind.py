"""What an export asks of the kind of a model: the same questions for each, answered in `rnnx.export.kinds`."""

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
    """What an export does for one kind of model; what is not abstract is the same for all but text classifiers."""

    @property
    @abstractmethod
    def id_encoder(self) -> IdEncoder | None:
        """What makes ids of texts or words; None for a model that reads numbers or ids."""

    @abstractmethod
    def make_probes(self, network: Network, texts: Sequence[bytes]) -> Probes:
        """Makes what the forms are tried on.

        Args:
            network: The reference.
            texts: From `real_texts`.
        """

    @abstractmethod
    def golden_inputs(self, network: Network) -> GoldenInputs:
        """The inputs of the golden vectors, in the evidence and in ONNX's own form of test data."""

    @abstractmethod
    def recorded_problems(self, network: Network, labels: Sequence[str], keras_drift: float | None) -> list[str]:
        """Compares what was recorded when the network was trained with what the reference gives now.

        Args:
            network: The reference.
            labels: By label id.
            keras_drift: How far Keras is from the reference on what was recorded; None if it is not finite.
        """

    def real_texts(self, more: Sequence[bytes]) -> list[bytes]:
        """Texts that the forms are tried on: what was recorded, rnnx's own, and more."""
        return []

    def golden_rows(
        self, network: Network, labels: Sequence[str], text_form: TextForm | None
    ) -> list[dict[str, object]] | None:
        """What `golden.json` holds, one object for each golden vector; None for a model without that file.

        Args:
            network: The reference.
            labels: By label id.
            text_form: If one was built.
        """
        return None

    def build_text_form(
        self, form: Rewritten, network: Network, storage: Storage, on_stage: Callable[[str], None]
    ) -> TextForm | None:
        """Builds the form that reads raw text; None for a model that gets none.

        Args:
            form: Ids in, probabilities out.
            network: The reference.
            storage: How its embedding is stored.
            on_stage: Told if a text classifier gets none.

        Raises:
            ModelError: If the embedding cannot be stored so.
        """
        return None

    def stream_problem(self, network: Network) -> str | None:
        """What keeps a model from being streamed, besides its layers; None if nothing does."""
        return None

    def require_tokenizer(self, name: str) -> Tokenizer:
        """The tokenizer of a text classifier.

        Raises:
            UsageError: If it is none; names the model.
        """
        raise UsageError(f"model {name}: made without a vocabulary; it has no labels for texts")
