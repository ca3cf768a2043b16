"""The parts of a model card that depend on the kind of model, one class for each kind.

`card_kind` chooses the class; `rnnx info` uses it too. A new kind of model is one more class here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, assert_never

from rnnx.bundle.config import ArraysConfig, ModelConfig, TokenizerConfig, WordsConfig
from rnnx.bundle.span_tags import are_span_tags, find_spans
from rnnx.card.id_rules import describe_tokenizer, describe_words, kept_end
from rnnx.card.usage import array_call, array_session_snippet, describe_inputs, describe_outputs


def code(label: str) -> str:
    """Formats a label as code in a Markdown table."""
    return "`" + label.replace("`", "'").replace("|", "\\|") + "`"


class CardKind(ABC):
    """What a card says about one kind of model.

    Attributes:
        unit: What an evaluation counts.
        length_unit: What the length of an input is counted in.
        output_error: What the end-to-end difference of a proof is measured in, and from which inputs.
        difference_unit: The unit of that difference, for a heading; empty if the outputs have no common one.
    """

    unit: ClassVar[str]
    length_unit: ClassVar[str] = "steps"
    output_error: ClassVar[str] = "in the probabilities, computed from the ids"
    difference_unit: ClassVar[str] = " (in probability)"

    def __init__(self, config: ModelConfig) -> None:
        """Describes the model of this config."""
        self.config = config

    @abstractmethod
    def summary(self) -> str:
        """Says what the model is and what its inputs and outputs are; the beginning of the card."""

    @abstractmethod
    def use(self) -> str:
        """Says how the model is called, and how its input becomes numbers; the section `Use`."""

    @abstractmethod
    def snippet(self, where: str) -> str:
        """Returns the shortest Python program that uses the bundle: by its shipped name, or by its path."""

    @abstractmethod
    def dataset_argument(self, title: str) -> str:
        """Turns the name of a data set, as an evaluation records it, into the argument of the command line.

        Args:
            title: The name and the part, such as `en_ewt-ud (test part)`.
        """

    def part_option(self, title: str) -> str:
        """Returns the option with which `rnnx evaluate` measures the recorded part; empty if it is the default."""
        return " --part train" if title.endswith("(train part)") else ""

    def facts(self) -> list[tuple[str, str]]:
        """Returns lines for `rnnx info`, as name and value, on how the input is read."""
        return []

    def _second_label(self) -> str:
        """Says what a single probability means: it is that of the second label."""
        labels = self.config.labels
        return f", the probability of {code(labels[1])}" if labels and self.config.output_size == 1 else ""


class TextCard(CardKind):
    """A text classifier."""

    unit = "texts"
    length_unit = "tokens"

    def __init__(self, config: ModelConfig, tokenizer: TokenizerConfig) -> None:
        """Describes the model of this config and its tokenizer."""
        super().__init__(config)
        self._tokenizer = tokenizer

    def summary(self) -> str:
        """See `CardKind`."""
        config = self.config
        return (
            f"Text classifier: {', '.join(map(code, config.labels))}. {config.parameter_count:,} parameters.\n\n"
            f"`model.onnx` (opset {config.opset}): `ids` int32 (batch, time) in, 0 to {config.vocabulary_size - 1}; "
            f"`probs` float32 (batch, {config.output_size}) out{self._second_label()}."
        )

    def use(self) -> str:
        """See `CardKind`."""
        return (
            f"## Use\n\nIn this directory:\n\n```sh\nrnnx infer --model . file.txt\n```\n\n"
            f"```python\n{self.snippet('.')}\n```\n\n{describe_tokenizer(self._tokenizer)}"
        )

    def snippet(self, where: str) -> str:
        """See `CardKind`."""
        return f'import rnnx\nprint(rnnx.load({where!r}).predict(["A text."])[0].label)'

    def dataset_argument(self, title: str) -> str:
        """See `CardKind`."""
        return title.partition(" ")[0]

    def facts(self) -> list[tuple[str, str]]:
        """See `CardKind`."""
        t = self._tokenizer
        rule = "" if t.rule == "bytes" else f"; words by the rule {t.rule}"
        return [("text", f"the {kept_end(t)} {t.max_length} ids; pads on the {t.padding_side}{rule}")]


class LabelSetCard(TextCard):
    """A model that gives a text any number of labels."""

    def summary(self) -> str:
        """See `CardKind`."""
        config = self.config
        rows = "\n".join(
            f"| {code(label)} | {threshold:.4g} |"
            for label, threshold in zip(config.labels, config.thresholds, strict=True)
        )
        return (
            f"Gives a text any number of labels: {', '.join(map(code, config.labels))}. "
            f"{config.parameter_count:,} parameters.\n\n"
            f"`model.onnx` (opset {config.opset}): `ids` int32 (batch, time) in, 0 to {config.vocabulary_size - 1}; "
            f"`probs` float32 (batch, {config.output_size}) out, a probability for each label, in the order above. "
            "They do not sum to 1.\n\nA label is given from its threshold on, which is in `config.json`. It has the "
            "highest F1 on the held-out texts; labels with few texts share one.\n\n"
            f"| label | threshold |\n|---|---:|\n{rows}"
        )

    def snippet(self, where: str) -> str:
        """See `CardKind`."""
        return f'import rnnx\nprint(rnnx.load({where!r}).predict(["A text."])[0].labels)'


class RatingCard(TextCard):
    """A model that gives a text a number."""

    output_error = "in the number, computed from the ids"
    difference_unit = ""

    def summary(self) -> str:
        """See `CardKind`."""
        config = self.config
        return (
            f"Gives a text a number. {config.parameter_count:,} parameters.\n\n"
            f"`model.onnx` (opset {config.opset}): `ids` int32 (batch, time) in, 0 to {config.vocabulary_size - 1}; "
            f"{'; '.join(describe_outputs(config))} out, the number itself. It is not limited to the range of the "
            "training data."
        )

    def snippet(self, where: str) -> str:
        """See `CardKind`."""
        return f'import rnnx\nprint(rnnx.load({where!r}).predict(["A text."])[0].value)'


# By `ModelConfig.task`.
_TEXT_CARDS: dict[str, type[TextCard]] = {"multilabel": LabelSetCard, "regression": RatingCard}


class TaggerCard(CardKind):
    """A tagger of words."""

    unit = "words"

    def __init__(self, config: ModelConfig, words: WordsConfig) -> None:
        """Describes the model of this config and how it reads words."""
        super().__init__(config)
        self._words = words

    def summary(self) -> str:
        """See `CardKind`."""
        config = self.config
        spans = self._span_labels()
        finds = f"Tagger of spans: {', '.join(map(code, spans))}, from the tags " if spans else "Tagger of words: "
        return (
            f"{finds}{', '.join(f'`{label}`' for label in config.labels)}. "
            f"{config.parameter_count:,} parameters.\n\n"
            f"`model.onnx` (opset {config.opset}): {'; '.join(describe_inputs(config))} in, one sentence per row and "
            f"one word per position; {'; '.join(describe_outputs(config))} out: for each word a probability per tag, "
            "in the order above."
        )

    def use(self) -> str:
        """See `CardKind`."""
        option = "--jsonl" if self._span_labels() else "--conllu"
        return (
            "## Use\n\nIn this directory:\n\n"
            f"```sh\nrnnx infer --model . file.txt\nrnnx infer --model . {option} file.txt\n```\n\n"
            f"```python\n{self.snippet('.')}\n```\n\n{describe_words(self._words)}\n\nWith onnxruntime alone:\n\n"
            f"```python\n{array_session_snippet(self.config)}\n```"
        )

    def snippet(self, where: str) -> str:
        """See `CardKind`."""
        if self._span_labels():
            call = f'rnnx.load({where!r}).predict(["A text."])[0].spans'
            return f"import rnnx\nprint([(span.text, span.label) for span in {call}])"
        return f'import rnnx\nprint([word.tag for word in rnnx.load({where!r}).predict(["A text."])[0].words])'

    def dataset_argument(self, title: str) -> str:
        """See `CardKind`. A treebank is named by its training file, if it has several parts."""
        if not self._is_of_conllu():
            return title.partition(" (")[0]
        name, _, part = title.partition(" ")
        return f"{name}-train.conllu" if part else f"{name}.conllu"

    def part_option(self, title: str) -> str:
        """See `CardKind`. The name of a treebank's file says which part it is."""
        return ""

    def facts(self) -> list[tuple[str, str]]:
        """See `CardKind`."""
        words = self._words
        rule = "" if words.rule == "bytes" else f"; by the rule {words.rule}"
        rows = [("words", f"themselves and {', '.join(words.features)}; at most {words.max_length} at once{rule}")]
        if labels := self._span_labels():
            rows.append(("spans", ", ".join(labels)))
        if words.tag_column != "upos":
            rows.append(("tags", f"from column {words.tag_column}"))
        return rows

    def _is_of_conllu(self) -> bool:
        return not self._words.tag_column.isdecimal()

    def _span_labels(self) -> list[str]:
        """The labels of the spans that the tags make; none for other tags."""
        if not are_span_tags(self.config.labels):
            return []
        return sorted({span.label for label in self.config.labels for span in find_spans([label])})


class ArrayCard(CardKind):
    """A network that reads numbers, or ids without a vocabulary."""

    unit = "sequences"
    output_error = "in the outputs, computed from the inputs"
    difference_unit = ""

    def summary(self) -> str:
        """See `CardKind`."""
        config = self.config
        title = {
            "classification": "Classifier of sequences",
            "multilabel": "Classifier of sequences with several labels",
            "tagging": "Tagger of sequences",
            "regression": "Regression",
            "values": "Network",
        }[config.task]
        labels = f" {', '.join(map(code, config.labels))}." if config.labels else ""
        return (
            f"{title}:{labels} {config.parameter_count:,} parameters.\n\n"
            f"`model.onnx` (opset {config.opset}): {'; '.join(describe_inputs(config))} in; "
            f"{'; '.join(describe_outputs(config))} out{self._second_label()}."
        )

    def use(self) -> str:
        """See `CardKind`."""
        return (
            f"## Use\n\n```python\n{self.snippet('.')}\n```\n\nWith onnxruntime alone:\n\n"
            f"```python\n{array_session_snippet(self.config)}\n```"
        )

    def snippet(self, where: str) -> str:
        """See `CardKind`."""
        answer = "label" if self.config.task == "classification" else "outputs"
        return f"import numpy as np, rnnx\nprint(rnnx.load({where!r}).predict({array_call(self.config)})[0].{answer})"

    def dataset_argument(self, title: str) -> str:
        """See `CardKind`."""
        return f"{title.partition(' ')[0]}.npz"


def card_kind(config: ModelConfig) -> CardKind:
    """Chooses what a card says about the kind of model that a config describes."""
    match config.reading:
        case TokenizerConfig() as tokenizer:
            return _TEXT_CARDS.get(config.task, TextCard)(config, tokenizer)
        case WordsConfig() as words:
            return TaggerCard(config, words)
        case ArraysConfig():
            return ArrayCard(config)
        case reading:
            assert_never(reading)
