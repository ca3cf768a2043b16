"""The kinds of models in an export, as implementations of `rnnx.export.kind.Kind`.

They differ in their probes, in their golden vectors, in the predictions that training recorded, and in whether they
get a text form.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rnnx.bundle.directory import TEXT_NAME
from rnnx.bundle.samples import RatedSample, Sample, SeriesSample, TaggedSample
from rnnx.errors import ModelError, UsageError
from rnnx.export.convert import check
from rnnx.export.golden_sentences import golden_sentence_inputs, golden_sentence_rows
from rnnx.export.golden_texts import golden_rating_rows, golden_text_inputs, golden_text_rows
from rnnx.export.kind import Kind
from rnnx.export.probes import (
    GoldenInputs,
    IdFormat,
    Probes,
    make_array_probes,
    make_array_traps,
    make_id_probes,
    make_id_traps,
    own_texts,
    reads_rows_of_ids,
    stack_by_shape,
)
from rnnx.export.probes_of_sentences import sentence_batch
from rnnx.export.recorded import rating_problems, sentence_problems, sequence_problems, text_problems
from rnnx.reference import Network
from rnnx.reference.shapes import least_time
from rnnx.rewrites.replace import Rewritten
from rnnx.text.tokenizer import Tokenizer
from rnnx.text.word_encoder import WordEncoder
from rnnx.text_form.build import TextForm, build_text_form, can_read
from rnnx.text_form.lookup import LONGEST_WORD
from rnnx.text_form.storage import Storage


@dataclass(frozen=True)
class TextKind(Kind):
    """A text classifier.

    Attributes:
        tokenizer: The model's tokenizer.
        samples: Texts with the labels that training recorded for them.
    """

    tokenizer: Tokenizer
    samples: Sequence[Sample] = ()

    @property
    def id_encoder(self) -> Tokenizer:
        """The tokenizer."""
        return self.tokenizer

    def real_texts(self, more: Sequence[bytes]) -> list[bytes]:
        """Returns the recorded texts, rnnx's own, and `more`, without duplicates."""
        return list(dict.fromkeys([*(sample.text for sample in self.samples), *own_texts(), *more]))

    def make_probes(self, network: Network, texts: Sequence[bytes]) -> Probes:
        """Makes probes of the ids of the texts, and traps.

        Raises:
            ModelError: If a text may be too short for the network.
        """
        shortest, config = least_time(network), self.tokenizer.config
        if shortest > (config.max_length if config.pad_to == "max_length" else 1):
            raise ModelError(
                f"the network needs at least {shortest} ids, and a text may have fewer; export it without a "
                "vocabulary, so that it reads ids"
            )
        real = {f"text {i + 1}": self.tokenizer.encode(text).ids for i, text in enumerate(texts)}
        return make_id_probes(IdFormat.of_texts(self.tokenizer), real)

    def golden_inputs(self, network: Network) -> GoldenInputs:
        """Returns the golden texts, and the traps, which are ids without a text."""
        traps = make_id_traps(IdFormat.of_texts(self.tokenizer))
        return golden_text_inputs(network, self.tokenizer) | {
            name: (None, network.named(self.tokenizer.pad([ids]))) for name, ids in traps.items()
        }

    def golden_rows(
        self, network: Network, labels: Sequence[str], text_form: TextForm | None
    ) -> list[dict[str, object]]:
        """Makes a row for each golden text, with the answers of the text form if there is one."""
        return golden_text_rows(network, self.tokenizer, labels, text_form)

    def recorded_problems(self, network: Network, labels: Sequence[str], keras_drift: float | None) -> list[str]:
        """Reports the recorded texts whose label has another probability now."""
        return text_problems(network, self.tokenizer, labels, self.samples, keras_drift)

    def build_text_form(
        self, form: Rewritten, network: Network, storage: Storage, on_stage: Callable[[str], None]
    ) -> TextForm | None:
        """Puts the tokenizer in front of the form, unless the vocabulary has a word that is too long for the graph."""
        if not can_read(self.tokenizer.vocabulary):
            on_stage(f"{TEXT_NAME} is left out: the vocabulary has words of more than {LONGEST_WORD} bytes")
            return None
        text_form = build_text_form(form, network, self.tokenizer, storage)
        check(text_form.rewritten.model)
        return text_form

    def stream_problem(self, network: Network) -> str | None:
        """Returns a reason if the network reads the padding: its amount depends on the length of the whole text."""
        config = self.tokenizer.config
        if config.pad_to != "max_length" or network.masks_zero:
            return None
        return (
            f"pads every text to {config.max_length} ids and reads the padding as it reads words (no mask_zero); how "
            "much padding there is depends on the length of the text, which a stream does not know"
        )

    def require_tokenizer(self, name: str) -> Tokenizer:
        """The tokenizer."""
        return self.tokenizer


@dataclass(frozen=True)
class LabelSetKind(TextKind):
    """A model that gives a text any number of labels.

    Attributes:
        thresholds: The probability from which each label is given.
    """

    thresholds: tuple[float, ...] = ()

    def golden_rows(
        self, network: Network, labels: Sequence[str], text_form: TextForm | None
    ) -> list[dict[str, object]]:
        """Makes a row for each golden text. `label` is the most likely label, `labels` are those that are given."""
        rows = super().golden_rows(network, labels, text_form)
        return [{**row, "labels": self._given(row["probs"], labels)} for row in rows]

    def _given(self, probs: Any, labels: Sequence[str]) -> list[str]:
        return [label for label, p, least in zip(labels, probs, self.thresholds, strict=True) if p >= least]


@dataclass(frozen=True)
class RatingKind(TextKind):
    """A model that gives a text a number.

    Attributes:
        rated: Texts with the numbers that training recorded for them.
    """

    rated: Sequence[RatedSample] = ()

    def real_texts(self, more: Sequence[bytes]) -> list[bytes]:
        """Returns the recorded texts, rnnx's own, and `more`, without duplicates."""
        return list(dict.fromkeys([*(sample.text for sample in self.rated), *own_texts(), *more]))

    def golden_rows(
        self, network: Network, labels: Sequence[str], text_form: TextForm | None
    ) -> list[dict[str, object]]:
        """Makes a row for each golden text."""
        return golden_rating_rows(network, self.tokenizer, text_form)

    def recorded_problems(self, network: Network, labels: Sequence[str], keras_drift: float | None) -> list[str]:
        """Reports the recorded texts that have another number now."""
        return rating_problems(network, self.tokenizer, self.rated, keras_drift)

    def require_tokenizer(self, name: str) -> Tokenizer:
        """Refuses to compare labels, because there are none."""
        raise UsageError(f"model {name}: gives a number, so there are no labels to compare")


@dataclass(frozen=True)
class TaggerKind(Kind):
    """A tagger of words.

    Attributes:
        encoder: Turns words into ids and features.
        samples: Sentences with the tags that training recorded for their words.
    """

    encoder: WordEncoder
    samples: Sequence[TaggedSample] = ()

    @property
    def id_encoder(self) -> WordEncoder:
        """The encoder of words."""
        return self.encoder

    def make_probes(self, network: Network, texts: Sequence[bytes]) -> Probes:
        """Makes probes of the recorded sentences, and traps."""
        recorded = [sample.words for sample in self.samples]
        return make_array_probes(network, [sentence_batch(self.encoder, recorded)] if recorded else [])

    def golden_inputs(self, network: Network) -> GoldenInputs:
        """Returns the golden sentences, and the traps, which are ids without words."""
        traps = make_array_traps(network)
        return golden_sentence_inputs(self.encoder) | {name: (None, given) for name, given in traps.items()}

    def golden_rows(
        self, network: Network, labels: Sequence[str], text_form: TextForm | None
    ) -> list[dict[str, object]]:
        """Makes a row for each golden sentence."""
        return golden_sentence_rows(network, self.encoder, labels)

    def recorded_problems(self, network: Network, labels: Sequence[str], keras_drift: float | None) -> list[str]:
        """Reports the recorded words whose tag has another probability now."""
        return sentence_problems(network, self.encoder, labels, self.samples, keras_drift)


@dataclass(frozen=True)
class ArrayKind(Kind):
    """A network that reads numbers, or ids without a vocabulary.

    Attributes:
        samples: Sequences of numbers with the answers that training recorded for them.
    """

    samples: Sequence[SeriesSample] = ()

    @property
    def id_encoder(self) -> None:
        """None, because arrays are read as they are."""
        return None

    def make_probes(self, network: Network, texts: Sequence[bytes]) -> Probes:
        """Makes probes of the recorded sequences, and traps; for rows of ids, traps only."""
        if reads_rows_of_ids(network) and least_time(network) == 1:
            return make_id_probes(IdFormat.of_input(network), {})
        return make_array_probes(network, stack_by_shape([sample.x for sample in self.samples]))

    def golden_inputs(self, network: Network) -> GoldenInputs:
        """Returns the traps only: a user's sequences are not published."""
        if not reads_rows_of_ids(network) or least_time(network) > 1:
            return {name: (None, given) for name, given in make_array_traps(network).items()}
        traps = make_id_traps(IdFormat.of_input(network))
        return {name: (None, network.named(ids[None])) for name, ids in traps.items()}

    def recorded_problems(self, network: Network, labels: Sequence[str], keras_drift: float | None) -> list[str]:
        """Reports the recorded sequences whose answers are different now."""
        return sequence_problems(network, labels, self.samples)
