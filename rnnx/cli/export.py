"""`rnnx export`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnx.bundle.directory import VOCABULARY_NAME, open_directory
from rnnx.bundle.find_model import DEFAULT_MODEL, find_directory
from rnnx.cli import terminal
from rnnx.cli.extras import import_stage
from rnnx.cli.progress_bars import show_stages
from rnnx.cli.proof_table import print_report
from rnnx.cli.rule_names import RuleName
from rnnx.cli.scratch import own_temporary_files
from rnnx.cli.tensorflow_log import quiet_tensorflow
from rnnx.errors import DataError, ModelError, UsageError
from rnnx.files.read import read_file

if TYPE_CHECKING:
    from rnnx.bundle.config import TextRuleName
    from rnnx.export.label_comparison import DecisionTexts


class SideName(StrEnum):
    """The choices of `--padding-side` and `--truncation-side`."""

    LEFT = "left"
    RIGHT = "right"


class StorageName(StrEnum):
    """The choices of `--storage`."""

    F32 = "f32"
    INT16 = "int16"
    F16 = "f16"
    INT8 = "int8"


def export(
    model: Annotated[
        str,
        typer.Argument(
            help="A training run, a bundle, the name of a shipped model, or a file of Keras 2 or 3: .keras, .h5, "
            ".hdf5, or NAME.weights.h5 with the text of model.to_json() in NAME.json next to it."
        ),
    ] = DEFAULT_MODEL,
    out: Annotated[Path | None, typer.Option(help="The folder of the bundle. [default: exported/NAME]")] = None,
    decisions: Annotated[
        str | None, typer.Option(help="Also compare all labels of this data set; its test part, if it has one.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="The folder of the IMDB reviews, packed or not. [default: download]")
    ] = None,
    storage: Annotated[
        StorageName, typer.Option(help="How the text form stores the embedding; the other forms store float32.")
    ] = StorageName.INT16,
    vocabulary: Annotated[
        Path | None,
        typer.Option(
            help="For a file of Keras that reads ids of words: its tokens, one per line, in the order of the ids."
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="For a file of Keras: a,b,c in the order of its outputs, or a file of them, one per line."),
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(min=1, help="With --vocabulary: the most ids of a text. [default: 400]")
    ] = None,
    padding_side: Annotated[
        SideName, typer.Option(help="With --vocabulary: the side on which texts were padded.")
    ] = SideName.LEFT,
    truncation_side: Annotated[
        SideName, typer.Option(help="With --vocabulary: the side on which long texts were cut.")
    ] = SideName.LEFT,
    start: Annotated[bool, typer.Option(help="With --vocabulary: whether each text began with id 1.")] = True,
    strip_breaks: Annotated[
        bool, typer.Option("--strip-breaks", help="With --vocabulary: <br /> was replaced by a space.")
    ] = False,
    tokenizer: Annotated[
        RuleName | None,
        typer.Option(
            help="With --vocabulary: how texts become words: unicode-14 (every script), unicode-14-marks, or "
            "bytes. [default: the rule of the run or bundle that the file is from, else bytes]"
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The name of the bundle. [default: that of the model]")] = None,
    streaming: Annotated[
        bool, typer.Option("--streaming", help="Add model.stream.onnx, with the states as inputs and outputs.")
    ] = False,
    sign: Annotated[
        Path | None,
        typer.Option(metavar="KEY", help="Sign the bundle with a private key, in PEM. Needs the extra [sign]."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="With --sign: the certificate of the key, in PEM; its chain may follow in it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Convert a model to ONNX and prove the result.

    The proof shows that each file computes what Keras computed. Only a proved bundle is published.
    """
    # The reference computes many small products, for which NumPy's threads only cost time. OpenBLAS reads this when
    # NumPy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Nor are huge pages worth it: the kernel clears each of them, and the arrays of a proof fill few of them.
    os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")
    from rnnx.export.process_settings import keep_memory, without_collections, without_unused_packages

    keep_memory()
    from rnnx.proof.progress import reported, reporting_to

    _check(model)
    signer = _signer(sign, certificate)
    with (
        quiet_tensorflow(),
        own_temporary_files(),
        show_stages() as on_progress,
        reporting_to(on_progress),
    ):
        with reported("loading TensorFlow"), without_unused_packages(), without_collections():
            pipeline, sources, naming = import_stage("rnnx.export.pipeline", "rnnx.export.source", "rnnx.export.names")
        texts = None if decisions is None else _read_texts(decisions, data_dir)
        names = naming.Names(
            None if vocabulary is None else _read(vocabulary),
            None if labels is None else _read_labels(labels),
            max_length,
            padding_side.value,
            truncation_side.value,
            start,
            strip_breaks,
            None if vocabulary is None and tokenizer is None else _choose_rule(vocabulary, tokenizer),
        )
        source = model if name is None and names == naming.Names() else sources.open_source(model, names)
        source = source if name is None else sources.renamed(source, name)
        exported = pipeline.export(
            source,
            out,
            storage=storage.value,
            decisions=texts,
            streaming=streaming,
            sign=signer,
            on_stage=terminal.note,
        )
    if as_json:
        terminal.write_json(
            {
                "bundle": str(exported.path),
                "verdict": exported.report.verdict,
                "sizes_bytes": exported.sizes_bytes,
                "parity": exported.report.document(),
            }
        )
    else:
        print_report(exported.report)
        terminal.write(exported.report.verdict)
        terminal.write(str(exported.path))
    terminal.hint(f"rnnx verify {exported.path}")


def _signer(key: Path | None, certificate: Path | None) -> Callable[[str, Mapping[str, bytes]], bytes] | None:
    """Returns the function that signs the bundle; the key is tried first, before a long export."""
    if key is None:
        if certificate is not None:
            raise UsageError("--certificate names the signer of a bundle: give --sign KEY too")
        return None
    from rnnx.bundle.signature import sign_files

    sign_files("trial", {"trial": b""}, key, certificate)
    return partial(sign_files, key=key, certificate=certificate)


def _check(model: str) -> None:
    """Refuses an unknown model, or a file that cannot be exported, before TensorFlow is loaded, which takes seconds."""
    (formats,) = import_stage("rnnx.keras_models.file_formats")
    found = formats.find_format(model)
    if found is None:
        find_directory(model)
        return
    import_stage("h5py")
    found.read(Path(model))
    if note := formats.describe_ending(found, Path(model)):
        terminal.note(note)


def _choose_rule(vocabulary: Path | None, tokenizer: RuleName | None) -> TextRuleName | None:
    """Returns the rule that the user named, or that of the run or bundle whose vocabulary is given."""
    if tokenizer is not None or vocabulary is None:
        return None if tokenizer is None else tokenizer.value
    try:
        directory = open_directory(vocabulary.parent, lambda _: [VOCABULARY_NAME])
    except ModelError:  # no run or bundle, or another vocabulary than that with which it was trained
        directory = None
    if vocabulary.name == VOCABULARY_NAME and directory is not None and VOCABULARY_NAME in directory.files:
        known = directory.config.tokenizer
        return None if known is None else known.rule
    if not _read(vocabulary).isascii():
        terminal.note("words are found by the rule bytes; --tokenizer unicode-14 reads every script")
    return None


def _read(path: Path) -> bytes:
    """Reads a file of labels or words, which is no pipe or device, and not larger than any of them is."""
    try:
        return read_file(path)
    except ModelError as error:
        raise DataError(str(error)) from error


def _read_labels(labels: str) -> tuple[str, ...]:
    """Reads labels separated by commas, or a file with one label per line."""
    path = Path(labels)
    if not path.is_file():
        return tuple(label.strip() for label in labels.split(","))
    try:
        lines = _read(path).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 ({error}); it should hold one label per line") from error
    return tuple(line.strip() for line in lines if line.strip())


def _read_texts(dataset: str, data_dir: Path | None) -> DecisionTexts:
    from rnnx.cli.table_options import make_listener
    from rnnx.datasets import load_texts
    from rnnx.export.label_comparison import DecisionTexts

    data = load_texts(dataset, None, data_dir=data_dir, listener=make_listener())
    examples, part = data.choose(None)
    return DecisionTexts(f"{data.name} ({part} part)", examples.texts)
