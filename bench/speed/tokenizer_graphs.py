"""Compares the tokenizer rules in the graph of one model: the time of the tokenizer, of the text form, and its size.

Both text forms have the same network and the same words; the words of the vocabulary that are no tokens of a rule have
an id that no text gets. The texts are the test reviews of IMDB. The two rules take turns on the same batch, in one
thread; the medians are over all batches. Every batch of ids is compared with that of `rnnx.text.tokenizer`.

    pip install '.[train]'
    python -m bench.speed.tokenizer_graphs [--model imdb] [--data-dir DIR] [--rounds 7]
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import numpy as np
import onnx
from onnx import TensorProto, helper

from bench import machine
from rnnx.bundle.config import TextRuleName
from rnnx.bundle.directory import BATCH_NAME
from rnnx.datasets import load_dataset
from rnnx.export.forms import build_forms
from rnnx.export.source import open_source
from rnnx.rewrites.graph import Graph
from rnnx.runtime.session import Session
from rnnx.text.tokenizer import Tokenizer, to_batch
from rnnx.text_form.build import TextForm, build_text_form
from rnnx.text_form.storage import DEFAULT_STORAGE

_RULES: tuple[TextRuleName, TextRuleName] = ("bytes", "unicode-14")
_TEXT_COUNT = 2000
_BATCH = 32


def main() -> None:
    """Builds both text forms and prints the table."""
    parser = argparse.ArgumentParser(description="The time of each tokenizer rule in the graph.")
    parser.add_argument("--model", default="imdb", help="a shipped model's name or a bundle's path")
    parser.add_argument("--data-dir", type=Path, help="the folder of the IMDB reviews; without it they are downloaded")
    parser.add_argument("--rounds", type=int, default=7, help="how often each batch is run")
    arguments = parser.parse_args()
    machine.restrict(1)
    texts = load_dataset("imdb", data_dir=arguments.data_dir).choose("test")[0].texts[:_TEXT_COUNT]
    forms = {rule: build(arguments.model, rule) for rule in _RULES}
    tokenizers = {rule: only_tokenizer(form) for rule, form in forms.items()}
    whole = {rule: form.rewritten.model.SerializeToString() for rule, form in forms.items()}
    sizes = [len(whole[rule]) for rule in _RULES]
    print(f"{machine.cpu_model()}, {machine.today()}, {arguments.model}, {len(texts):,} reviews.\n")
    print(f"The text form has {sizes[0]:,} bytes with {_RULES[0]}, and {sizes[1] - sizes[0]:+,} with {_RULES[1]}.\n")
    print(f"| graph | batch | {_RULES[0]} ms | {_RULES[1]} ms | ratio |\n|---|---|---:|---:|---:|")
    for graph, models in (("tokenizer", tokenizers), ("text form", whole)):
        sessions = {rule: Session(model, device="cpu") for rule, model in models.items()}
        for name, batches in make_batches(texts).items():
            if graph == "tokenizer":
                require_same_ids(sessions, forms, batches)
            first, second = measure(sessions, batches, arguments.rounds)
            print(f"| {graph} | {name} | {first:.3f} | {second:.3f} | {second / first:.2f} |", flush=True)


def build(model: str, rule: TextRuleName) -> TextForm:
    """Builds the text form of a model as if it had been trained with a rule."""
    source = open_source(model)
    tokenizer = source.kind.require_tokenizer(source.config.name)
    config = dataclasses.replace(tokenizer.config, rule=rule, marks=False)
    form = build_forms(source.model, source.network)[BATCH_NAME]
    return build_text_form(form, source.network, Tokenizer(config, tokenizer.vocabulary), DEFAULT_STORAGE)


def only_tokenizer(form: TextForm) -> bytes:
    """Returns the part of a text form that computes the ids."""
    model = onnx.ModelProto.FromString(form.rewritten.model.SerializeToString())
    del model.graph.output[:]
    model.graph.output.append(helper.make_tensor_value_info(form.ids, TensorProto.INT32, ["batch", "time"]))
    Graph(model.graph).clean()
    data: bytes = model.SerializeToString()
    return data


def make_batches(texts: Sequence[bytes]) -> dict[str, list[list[bytes]]]:
    """Makes batches of one text, of texts of similar length, and of texts in a random order."""
    by_length = sorted(texts, key=len)
    order = np.random.default_rng(0).permutation(len(texts))
    starts = range(0, len(texts) - _BATCH + 1, _BATCH)
    return {
        "1": [[text] for text in texts[:300]],
        f"{_BATCH} of similar length": [by_length[start : start + _BATCH] for start in starts],
        f"{_BATCH} in a random order": [[texts[i] for i in order[start : start + _BATCH]] for start in starts],
    }


def require_same_ids(
    sessions: Mapping[TextRuleName, Session], forms: Mapping[TextRuleName, TextForm], batches: Sequence[list[bytes]]
) -> None:
    """Makes sure that each graph computes the ids of its tokenizer."""
    for rule, session in sessions.items():
        tokenizer = forms[rule].tokenizer
        for texts in batches:
            expected = tokenizer.pad([tokenizer.encode(text).ids for text in texts])
            if not np.array_equal(expected, session.run(to_batch(texts))[0]):
                raise SystemExit(f"the graph of the rule {rule} computes other ids than rnnx.text.tokenizer")


def measure(
    sessions: Mapping[TextRuleName, Session], batches: Sequence[list[bytes]], rounds: int
) -> tuple[float, float]:
    """Returns the median milliseconds of a batch with each rule; the rules take turns."""
    elapsed: dict[TextRuleName, list[float]] = {rule: [] for rule in sessions}
    for batch in map(to_batch, batches):
        for number in range(rounds):
            for rule in _RULES if number % 2 else reversed(_RULES):
                before = time.perf_counter()
                sessions[rule].run(batch)
                elapsed[rule].append(1e3 * (time.perf_counter() - before))
    first, second = (median(elapsed[rule]) for rule in _RULES)
    return first, second


if __name__ == "__main__":
    main()
