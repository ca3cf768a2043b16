"""Adds a model to a repository of the Triton Inference Server: the text form and the ids form, each with its config.

The settings follow Triton's `model_config.proto`; the sample `exported/embed/triton` explains them. Imports the
standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from rnnx.bundle.config import CONFIG_NAME, ModelConfig
from rnnx.bundle.directory import GOLDEN_NAME, MODEL_NAME, TEXT_NAME, VOCABULARY_NAME, Directory
from rnnx.strict_json import to_json

_LABELS = "labels.txt"
# The text form runs a Scan, which launches kernels at each step of a GPU; the native operators of the ids form do not.
_TEXT_INSTANCES = "\ninstance_group [ { kind: KIND_CPU } ]"
_CONFIG = """\
name: "{name}"
backend: "onnxruntime"
default_model_filename: "model.onnx"
max_batch_size: {most_rows}
input [
  {{ name: "{input}" data_type: {type} dims: [ {size} ] }}
]
output [
  {{ name: "probs" data_type: TYPE_FP32 dims: [ {outputs} ]{labels} }}
]
# Requests whose rows have one length run together; a request waits at most this long for others.
dynamic_batching {{ max_queue_delay_microseconds: 1000 }}{instances}
# More threads make a recurrence slower.
parameters {{ key: "intra_op_thread_count" value {{ string_value: "1" }} }}
"""
_MOST_ROWS = 64  # the batch of `rnnx.load` on a CPU


def add_triton_models(directory: Directory, project: Path) -> None:
    """Adds the models `NAME-text` and `NAME-ids`, and what a client of the second one needs to make ids.

    Args:
        directory: A bundle with `model.text.onnx`.
        project: A copy of the sample.
    """
    config = directory.config
    name = re.sub(r"\W+", "-", config.name).strip("-")
    text = _CONFIG.format(
        name=f"{name}-text",
        most_rows=_MOST_ROWS,
        input="text",
        type="TYPE_UINT8",
        size=-1,
        outputs=len(config.labels),
        labels=f' label_filename: "{_LABELS}"',
        instances=_TEXT_INSTANCES,
    )
    _add_model(project / f"{name}-text", text, directory[TEXT_NAME], config.labels)
    one_per_label = config.output_size == len(config.labels)
    ids = _CONFIG.format(
        name=f"{name}-ids",
        most_rows=_MOST_ROWS,
        input="ids",
        type="TYPE_INT32",
        size=_ids_per_row(config),
        outputs=config.output_size,
        labels=f' label_filename: "{_LABELS}"' if one_per_label else "",
        instances="",
    )
    _add_model(project / f"{name}-ids", ids, directory[MODEL_NAME], config.labels if one_per_label else ())
    for file in (GOLDEN_NAME, VOCABULARY_NAME):
        (project / file).write_bytes(directory[file])
    (project / CONFIG_NAME).write_text(to_json(config), encoding="utf-8")


def _add_model(folder: Path, config: str, model: bytes, labels: Sequence[str]) -> None:
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.onnx").write_bytes(model)
    (folder / "config.pbtxt").write_text(config, encoding="utf-8")
    if labels:
        (folder / _LABELS).write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")


def _ids_per_row(config: ModelConfig) -> int:
    """How many ids a row has; -1 if that may vary. A network without a mask has learned its padding."""
    is_fixed = config.tokenizer is not None and config.tokenizer.pad_to == "max_length"
    return config.tokenizer.max_length if config.tokenizer and is_fixed else -1
