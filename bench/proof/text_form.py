"""Compares the text form of a bundle with the tokenizer, and its storages with each other, on many texts.

    python -m bench.proof.text_form ids [--model imdb] [--data-dir DIR] [--part test] [--fuzz 100000]
    python -m bench.proof.text_form storage [--model imdb] [--data-dir DIR] [--part validation]

`ids` compares the ids that the file computes with those of the tokenizer and exits with 1 if one id differs. `storage`
compares the labels and probabilities of each storage of the embedding with those of f32, both in onnxruntime. The
default storage was chosen on the validation fifth of the training part, with the seed that the model was trained with.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rnnx.bundle.directory import BATCH_NAME
from rnnx.datasets import load_dataset, split_by_label
from rnnx.export.forms import build_forms
from rnnx.export.source import Source, open_source
from rnnx.onnx_file.visible_states import with_states
from rnnx.runtime.session import Session
from rnnx.text.tokenizer import Tokenizer, to_batch
from rnnx.text_form.build import TextForm, build_text_form
from rnnx.text_form.storage import Storage
from rnnx.train.task import VALIDATION_FRACTION

_BATCH = 32
_STORAGES: tuple[Storage, ...] = ("f32", "int16", "f16", "int8")


def main() -> None:
    """Parses the command line and runs one of the two comparisons."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("ids", "storage"), help="the comparison")
    parser.add_argument("--model", default="imdb", help="a shipped model's name or a bundle's path")
    parser.add_argument("--data-dir", type=Path, help="the folder of the IMDB reviews; without it they are downloaded")
    parser.add_argument("--part", choices=("validation", "train", "test"), help="the reviews to read")
    parser.add_argument("--fuzz", type=int, default=100_000, help="the number of random byte strings")
    args = parser.parse_args()
    source = open_source(args.model)
    if args.what == "ids":
        texts = read_texts(source, args.data_dir, args.part or "test")
        raise SystemExit(compare_ids(source, texts, args.fuzz))
    compare_storages(source, read_texts(source, args.data_dir, args.part or "validation"))


def read_texts(source: Source, data_dir: Path | None, part: str) -> Sequence[bytes]:
    """Reads the reviews of the training part, the test part, or the validation part of the model's own training."""
    dataset = load_dataset("imdb", data_dir=data_dir)
    if part != "validation":
        return dataset.choose(part)[0].texts
    assert source.config.training is not None  # noqa: S101  # the shipped models were trained here
    return split_by_label(dataset.train, VALIDATION_FRACTION, source.config.training.seed)[1].texts


def build(source: Source, storage: Storage) -> TextForm:
    """Builds the text form of a model with a storage."""
    form = build_forms(source.model, source.network)[BATCH_NAME]
    return build_text_form(form, source.network, source.kind.require_tokenizer(source.config.name), storage)


def compare_ids(source: Source, texts: Sequence[bytes], fuzz_count: int) -> int:
    """Prints how many texts were compared and how many differ, and returns the exit code."""
    form = build(source, "f32")
    tokenizer = form.tokenizer
    rewritten = form.rewritten
    session = Session(with_states(rewritten.model.SerializeToString(), rewritten.recipe(), form.ids), device="cpu")
    index = session.output_names.index(form.ids)
    wrong = 0
    fuzzed = fuzz(tokenizer, fuzz_count)
    for what, items in ((f"{len(texts):,} reviews", texts), (f"{fuzz_count:,} random byte strings", fuzzed)):
        batches = [items[start : start + _BATCH] for start in range(0, len(items), _BATCH)]
        differing = sum(_count_different(session, index, tokenizer, batch) for batch in batches)
        print(f"{what}: {differing} have other ids than those of rnnx.text.tokenizer")
        wrong += differing
    return int(wrong > 0)


def _count_different(session: Session, index: int, tokenizer: Tokenizer, texts: Sequence[bytes]) -> int:
    """Counts the texts of a batch whose ids differ; output `index` of the session holds the ids."""
    expected = tokenizer.pad([tokenizer.encode(text).ids for text in texts])
    actual = session.run(to_batch(texts))[index]
    return len(texts) if expected.shape != actual.shape else int((expected != actual).any(axis=1).sum())


def fuzz(tokenizer: Tokenizer, count: int) -> list[bytes]:
    """Draws byte strings: random bytes, words, words with one byte changed, whole and cut line breaks, long runs."""
    rng = np.random.default_rng(0)
    words = tokenizer.vocabulary.tokens[3:]
    pieces: tuple[bytes, ...] = (
        b" ",
        b"<br />",
        b"<br ",
        b"/>",
        b"<BR />",
        b"\0",
        b"'",
        b"\xc3\xa9",
        b"\xff",
        b"br",
        b".",
        b"A",
    )
    if tokenizer.config.rule != "bytes":
        characters = "\u2019\xad\xc9\u4e16\u0e02\u0e49\uff21\u0663\U0001f600\U0001f3fd\u200b\u2014\ud55c!?"
        pieces += (*(character.encode() for character in characters), b"\xe4\xb8", b"\xf0\x9f", b"\xc0\xa7", b"\x92")
    return list(_fuzz(rng, words, pieces, count))


def _fuzz(rng: np.random.Generator, words: Sequence[bytes], pieces: Sequence[bytes], count: int) -> Iterator[bytes]:
    for number in range(count):
        size = int(rng.integers(0, 60))
        if number % 4 == 0:
            yield rng.integers(0, 256, size, np.uint8).tobytes()
            continue
        parts = []
        for kind in rng.integers(0, 4, size):
            word = words[int(rng.integers(len(words)))]
            if kind == 0:
                parts.append(pieces[int(rng.integers(len(pieces)))])
            elif kind == 1:
                parts += [word, b" "]
            elif kind == 2:  # a word with one byte changed
                at = int(rng.integers(len(word)))
                parts += [word[:at] + bytes([int(rng.integers(256))]) + word[at + 1 :], b" "]
            else:
                parts += [word[: int(rng.integers(len(word) + 1))].upper(), b"\n"[: int(rng.integers(2))]]
        if number % 97 == 0:
            parts *= 30  # longer than the longest text
        yield b"".join(parts)


def compare_storages(source: Source, texts: Sequence[bytes]) -> None:
    """Prints the size of the file with each storage and how far its answers differ from those of f32."""
    sizes, answers = {}, {}
    for storage in _STORAGES:
        model = build(source, storage).rewritten.model.SerializeToString()
        sizes[storage], answers[storage] = len(model), _run(Session(model, device="cpu"), texts)
    print(f"{source.config.name}, {len(texts):,} reviews\n")
    print("| storage | bytes | share of f32 | labels changed | largest difference | mean difference |")
    print("|---|---:|---:|---:|---:|---:|")
    for storage, probs in answers.items():
        difference = np.abs(probs - answers["f32"])
        changed = int((probs.argmax(axis=1) != answers["f32"].argmax(axis=1)).sum())
        share = sizes[storage] / sizes["f32"]
        print(
            f"| {storage} | {sizes[storage]:,} | {share:.1%} | {changed} | {difference.max():.2g} | "
            f"{difference.mean():.2g} |"
        )


def _run(session: Session, texts: Sequence[bytes]) -> npt.NDArray[np.float32]:
    """Returns the probabilities of all texts, `(texts, labels)`; texts of similar length share a batch."""
    by_length = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    probs = np.empty((len(texts), 0), np.float32)
    for start in range(0, len(texts), _BATCH):
        chosen = by_length[start : start + _BATCH]
        rows = session.run(to_batch([texts[index] for index in chosen]))[0]
        if not probs.size:
            probs = np.empty((len(texts), rows.shape[1]), np.float32)
        probs[chosen] = rows
    return probs


if __name__ == "__main__":
    main()
