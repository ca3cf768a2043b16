"""The manifest of a job: which model and options the shards of a folder come from, and which files they answer.

A folder never mixes two models, two sets of options, or two versions of a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from rnnx.datasets.table_form import TableForm
from rnnx.engines.corpus_files import FileSize, list_names, open_input, open_output
from rnnx.engines.shards import Job
from rnnx.engines.spans import BYTES_PER_TASK, ROWS_PER_TASK
from rnnx.errors import DataError, UsageError
from rnnx.strict_json import from_json, to_json

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True)
class InputFile:
    """A file that is answered.

    Attributes:
        size_bytes: Its size when its tasks were made.
        modified_us: When it was written last.
    """

    size_bytes: int
    modified_us: int


@dataclass(frozen=True)
class Manifest:
    """What the shards of a folder come from.

    Attributes:
        model: The name or path of the model.
        model_sha256: The hash of all its files.
        text_column: The column of the texts.
        threshold: As in `Predictor.predict`.
        form: What the user said about the form of tables.
        rows_per_task: The least rows of a task on row groups.
        bytes_per_task: The bytes of a task on lines.
        inputs: The files, by absolute path.
        version: The version of this format.
    """

    model: str
    model_sha256: str
    text_column: str
    threshold: float
    form: TableForm
    rows_per_task: int = ROWS_PER_TASK
    bytes_per_task: int = BYTES_PER_TASK
    inputs: dict[str, InputFile] = field(default_factory=dict)
    version: int = 1


def make_manifest(job: Job, inputs: dict[str, FileSize]) -> Manifest:
    """Describes a job."""
    predictor = job.predictor
    files = {path: InputFile(*size) for path, size in sorted(inputs.items())}
    return Manifest(
        predictor.copy.model, predictor.copy.digest, predictor.text_column, predictor.threshold, job.form, inputs=files
    )


def read_manifest(folder: str) -> Manifest | None:
    """Reads the manifest of a folder.

    Returns:
        The manifest; None if the folder is missing or empty.

    Raises:
        UsageError: If the folder holds other things than the shards of a job.
    """
    names = list_names(folder)
    if MANIFEST_NAME not in names:
        if any(not name.startswith(".") for name in names):
            raise UsageError(f"{folder}: it holds files, but no {MANIFEST_NAME} of a job; choose another --out")
        return None
    try:
        with open_input(f"{folder}/{MANIFEST_NAME}") as file:
            return from_json(Manifest, file.read())
    except (DataError, OSError, ValueError) as error:
        raise UsageError(f"{folder}/{MANIFEST_NAME}: {error}; choose another --out") from error


def require_same_job(folder: str, old: Manifest, new: Manifest) -> Manifest:
    """Makes sure that a folder can take the shards of a job.

    Args:
        folder: For messages.
        old: The manifest of the folder.
        new: That of the job.

    Returns:
        The manifest of both, with all files.

    Raises:
        UsageError: If the model, an option or a file is not the same.
    """
    if old.model_sha256 != new.model_sha256:
        raise UsageError(
            f"{folder}: its answers are those of another model ({old.model}, hash {old.model_sha256[:12]}; this is "
            f"{new.model}, hash {new.model_sha256[:12]}); choose another --out"
        )
    for name in ("text_column", "threshold", "form", "rows_per_task", "bytes_per_task", "version"):
        before, now = getattr(old, name), getattr(new, name)
        if before != now:
            raise UsageError(f"{folder}: its answers were made with {name} {before}, not {now}; choose another --out")
    for path, size in new.inputs.items():
        if old.inputs.get(path, size) != size:
            raise UsageError(f"{path}: it has changed since its first answers; choose another --out")
    if gone := sorted(old.inputs.keys() - new.inputs.keys()):
        raise UsageError(
            f"{folder}: its answers are those of other files too ({gone[0]}); give all files, or choose another --out"
        )
    return replace(new, model=old.model)


def write_manifest(folder: str, manifest: Manifest) -> None:
    """Writes the manifest of a folder, whole or not at all."""
    with open_output(folder, MANIFEST_NAME) as file:
        file.write(to_json(manifest).encode())
