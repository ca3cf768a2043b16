"""Makes a model whose answers are ids, so that the samples compare the tokenizer of a file to the last id.

The output `probs` has the ids of the rule `unicode-14`, one for each "label". A sample that runs golden vectors needs
no change for it: the expected probabilities are the ids of `rnnx.text.tokenizer`, and the tolerance is half an id.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

from rnnx.bundle.config import TokenizerConfig
from rnnx.rewrites.graph import Graph
from rnnx.text.rules import find_rule
from rnnx.text.tokenizer import Tokenizer, Vocabulary
from rnnx.text_form.alphabet import spell_vocabulary
from rnnx.text_form.unicode_nodes import add_unicode_tokenizer
from tests.text_form.tokenizer_graphs import make_model
from tests.unicode_texts import BROKEN, LINES, PIECES, draw_texts

NAME = "ids, unicode-14"
LENGTH = 64  # the sample in C reads at most 64 labels, and 1,000 rows of golden.json
CONFIG = TokenizerConfig(LENGTH, True, True, "max_length", "left", "left", "unicode-14")
RULE = find_rule(CONFIG)
_LABELS = [str(i) for i in range(LENGTH)]


def make_tokenizer(texts: Sequence[bytes], size: int) -> Tokenizer:
    """Makes a tokenizer that knows the most frequent words of texts."""
    return Tokenizer(CONFIG, Vocabulary.build(texts, size, strip_breaks=CONFIG.strip_breaks, rule=RULE))


def make_id_model(tokenizer: Tokenizer) -> bytes:
    """Makes the file: `text` uint8 (batch, bytes) in, `probs` float32 (batch, `LENGTH`) out."""
    spelled = spell_vocabulary(tokenizer.vocabulary, tokenizer.config)

    def add(graph: Graph) -> str:
        return add_unicode_tokenizer(graph, "text", spelled, tokenizer.config)

    model = make_model(add)
    ids = model.graph.output[0].name
    del model.graph.output[:]
    model.graph.node.append(helper.make_node("Cast", [ids], ["probs"], to=TensorProto.FLOAT))
    model.graph.output.append(helper.make_tensor_value_info("probs", TensorProto.FLOAT, ["batch", LENGTH]))
    helper.set_model_props(model, {"rnnx": json.dumps({"labels": _LABELS})})
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


def make_rows(tokenizer: Tokenizer, texts: Sequence[bytes]) -> bytes:
    """Formats the content of `golden.json` for texts."""
    ids = tokenizer.pad([tokenizer.encode(text).ids for text in texts])
    rows = [
        {"bytes": text.hex(), "text_probs": row, "tolerance": 0.5}
        for text, row in zip(texts, ids.astype(np.float64).tolist(), strict=True)
    ]
    return json.dumps(rows, indent=1).encode()


def write_id_bundle(folder: Path, tokenizer: Tokenizer, texts: Sequence[bytes]) -> Path:
    """Writes the three files that a sample needs."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.text.onnx").write_bytes(make_id_model(tokenizer))
    (folder / "golden.json").write_bytes(make_rows(tokenizer, texts))
    config = {"name": NAME, "labels": _LABELS, "tokenizer": dataclasses.asdict(tokenizer.config)}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return folder


def between_letters(codes: Sequence[int], count: int) -> list[bytes]:
    """Writes each character between two letters, `count` characters in a text."""
    words = [b"a%sb" % chr(code).encode("utf-8", "surrogatepass") for code in codes]
    return [b" ".join(words[start : start + count]) for start in range(0, len(words), count)]


def sample_texts() -> list[bytes]:
    """Returns a few hundred texts: lines in 23 languages, every piece of the tests, drawn texts, and characters."""
    rng = np.random.default_rng(9)
    codes = np.concatenate([np.arange(0x80, 0x400), rng.integers(0x400, 0x33000, 1500), [0x10FFFF]]).tolist()
    drawn = draw_texts(rng, 300, 12)
    return [b"", *LINES, *PIECES, *BROKEN, b" ".join(PIECES), b"".join(BROKEN), *drawn, *between_letters(codes, 20)]


def write_sample_bundle(folder: Path) -> Path:
    """Writes a bundle with a few hundred texts, for one run of each sample."""
    words = [b" ".join(PIECES), b"ab a'b a9b aab b", *LINES]
    return write_id_bundle(folder, make_tokenizer(words, 400), sample_texts())
