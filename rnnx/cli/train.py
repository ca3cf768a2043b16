"""`rnnx train`."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnx.bundle.config import TokenizerConfig
from rnnx.cli import terminal
from rnnx.cli.config_file import read_config, write_config
from rnnx.cli.extras import import_stage, require_packages
from rnnx.cli.infer import DeviceName
from rnnx.cli.rule_names import RuleName
from rnnx.cli.scratch import own_temporary_files
from rnnx.cli.table_options import (
    DelimiterOption,
    EncodingOption,
    HeaderOption,
    LabelColumnOption,
    LabelColumnsOption,
    LabelDelimiterOption,
    QuotesOption,
    SkipBadRowsOption,
    TagColumnOption,
    TextColumnOption,
    make_listener,
    split_names,
)
from rnnx.cli.train_options import (
    LEARNING,
    BatchSizeOption,
    CellOption,
    ClassWeightsName,
    ClassWeightsOption,
    EmbeddingsOption,
    EpochsOption,
    LayersOption,
    LearningRateOption,
    MaxLengthOption,
    PatienceOption,
    UnitsOption,
    ValidationOption,
    ValidationSplitOption,
    VocabularySizeOption,
)
from rnnx.cli.unknown_texts import warn_of_unknown_texts
from rnnx.errors import UsageError
from rnnx.train.pace import in_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from rnnx.datasets import AnyDataset, Columns, TableForm, TextTask
    from rnnx.train.fit import Epoch, Fit, Progress
    from rnnx.train.recipes import Recipe
    from rnnx.train.task import StageProgress


_SHOWN_LABELS = 20


class Teller:
    """Reports the progress of a training on stderr: a bar, the expected time, and the time that it took."""

    def __init__(self, place: Path, update: Callable[[int, str, int | None], None]) -> None:
        """Takes the folder of the run, and the function that moves the bar."""
        self._place, self._update = place, update
        self._began = self._ended = time.monotonic()
        self._first_epoch, self._has_told = 1, False
        self._stages: set[str] = set()

    def on_resume(self, done: int, epochs: int) -> None:
        """Reports that the training goes on from the checkpoint of an earlier process."""
        self._first_epoch = done + 1
        terminal.note(f"resuming after epoch {done} of {epochs}, from {self._place}.checkpoint")

    def on_batch(self, p: Progress) -> None:
        """Moves the bar; reports once how long the training will take."""
        words = f"epoch {p.epoch}/{p.epochs}, loss {p.loss:.3f}"
        if p.seconds_left is not None:
            if not self._has_told:
                whole = in_words(time.monotonic() - self._began + p.seconds_left)
                terminal.note(f"about {whole} at most for {self._which(p.epochs)} on this machine")
                self._has_told = True
            words += f", {in_words(p.seconds_left)} left at most"
        self._update((p.epoch - 1) * p.batches + p.batch, words, p.batches * p.epochs)

    def on_stage(self, p: StageProgress) -> None:
        """Moves the bar through a stage before the epochs; reports once what it is and how long it will take."""
        words = p.name
        if p.seconds_left is not None:
            words += f", {in_words(p.seconds_left)} left at most"
        if p.name not in self._stages and (p.total == 1 or p.seconds_left is not None):
            self._stages.add(p.name)
            how_long = "" if p.seconds_left is None else f", about {in_words(p.seconds_left)} at most"
            how_long += f"; then the epochs, about {in_words(p.seconds_after)}" if p.seconds_after else ""
            terminal.note(f"before the epochs: {p.name}{how_long}")
        self._update(p.done, words, p.total)
        self._began = self._ended = time.monotonic()

    def on_epoch(self, epoch: Epoch) -> None:
        """Reports the figures of an epoch."""
        terminal.note(_line(epoch))
        self._ended = time.monotonic()

    def on_interrupt(self) -> None:
        """Reports what is left of a training that was interrupted before the end of its first epoch."""
        place = Path(f"{self._place}.checkpoint")
        if place.exists():
            terminal.warning(f"stopped before the end of an epoch; the same command continues from {place}")
        else:
            terminal.warning("stopped before the first checkpoint; nothing is kept, and the same command begins again")

    def on_end(self, fitted: Fit) -> None:
        """Reports how long the epochs took, and why the training ended."""
        if fitted.is_stopped_early:
            flat = len(fitted.history) - fitted.best.epoch
            terminal.note(f"stopped early: validation has not improved for {flat} epochs")
        if len(fitted.history) >= self._first_epoch:
            terminal.note(f"{self._which(len(fitted.history))} took {in_words(self._ended - self._began)}")
        if count := fitted.additions.get("retrained_on"):
            terminal.note(f"trained again on all {count:,} sequences, with those that were held out")
        part = fitted.additions.get("linear_part")
        if part and part["is_used"]:
            scores = f"{part['validation_with']:.4f} instead of {part['validation_without']:.4f}"
            terminal.note(f"a linear model of the words was added: validation {fitted.best.name} {scores}")

    def _which(self, last: int) -> str:
        if last == self._first_epoch:
            return f"epoch {last}"
        return f"{last} epochs" if self._first_epoch == 1 else f"epochs {self._first_epoch} to {last}"


class TaskName(StrEnum):
    """The choices of `--task`."""

    CLASSIFICATION = "classification"
    MULTILABEL = "multilabel"
    REGRESSION = "regression"


def train(
    context: typer.Context,
    dataset: Annotated[
        str,
        typer.Argument(
            help="imdb, or a folder or archive of train/<label>/*.txt, or a table (.csv, .tsv, .jsonl, .json, "
            ".parquet, .arrow, .xlsx, packed or not), or a .conllu, .conll or .npz file."
        ),
    ] = "imdb",
    recipe: Annotated[
        str | None,
        typer.Option(
            help="default, or article (the article's network to the letter), tagger (a tag for each word), or series "
            "(numbers). [default: tagger for .conllu and .conll, series for .npz, else default]"
        ),
    ] = None,
    task: Annotated[
        TaskName | None,
        typer.Option(
            help="classification: a label for each text or sequence. multilabel: several labels for each text. "
            "regression: a number, such as a rating. [default: classification; multilabel if a table has lists]"
        ),
    ] = None,
    tokenizer: Annotated[
        RuleName | None,
        typer.Option(
            help="How texts become words: unicode-14 (every script), unicode-14-marks (punctuation marks are "
            "words, too), or bytes (lower-cases ASCII, splits at ASCII characters). [default: unicode-14; "
            "unicode-14-marks if marks help with these labels; bytes for the recipe article]"
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The folder of the run. [default: runs/DATASET-RECIPE]")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="The folder of the IMDB reviews, packed or not. [default: download]")
    ] = None,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    label_columns: LabelColumnsOption = None,
    label_delimiter: LabelDelimiterOption = None,
    tag_column: TagColumnOption = None,
    delimiter: DelimiterOption = None,
    encoding: EncodingOption = None,
    has_header: HeaderOption = True,
    quotes: QuotesOption = None,
    skip_bad_rows: SkipBadRowsOption = False,
    units: UnitsOption = None,
    depth: LayersOption = None,
    cell: CellOption = None,
    epochs: EpochsOption = None,
    learning_rate: LearningRateOption = None,
    batch_size: BatchSizeOption = None,
    patience: PatienceOption = None,
    validation_split: ValidationSplitOption = None,
    validation: ValidationOption = None,
    class_weights: ClassWeightsOption = ClassWeightsName.NONE,
    seed: Annotated[
        int,
        typer.Option(
            min=0,
            max=2**32 - 1,
            rich_help_panel=LEARNING,
            help="Seed of the split, the initial weights and the order of the batches.",
        ),
    ] = 0,
    vocabulary_size: VocabularySizeOption = None,
    max_length: MaxLengthOption = None,
    embeddings: EmbeddingsOption = None,
    device: Annotated[
        DeviceName, typer.Option(help="auto takes a GPU if TensorFlow finds one; cuda never falls back to the CPU.")
    ] = DeviceName.AUTO,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            callback=read_config,
            is_eager=True,
            help="A TOML file of options, such as the train.toml of a run, which repeats it. [default: none]",
        ),
    ] = None,
    is_fresh: Annotated[
        bool,
        typer.Option(
            "--fresh", help="Delete the checkpoint of an unfinished training, OUT.checkpoint, and begin again."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int | None:
    """Train a network on texts, words or numbers.

    The data are labelled texts, tagged sentences or sequences of numbers. Ctrl-C keeps the best epoch so far. After an
    interruption, the same command continues from the last finished epoch.
    """
    from rnnx.datasets import Columns, LabelSetDataset, RatingDataset, TableForm
    from rnnx.train.checkpoint import checkpoint_place, remove_checkpoint

    with terminal.quiet_tensorflow(), own_temporary_files():
        # The data are read before TensorFlow is loaded, so that a mistake in a column is answered at once.
        require_packages("tensorflow", "keras")
        columns = Columns(
            text=text_column,
            label=label_column,
            labels=split_names(label_columns),
            label_delimiter=label_delimiter,
            tag=tag_column,
        )
        form = TableForm(delimiter, encoding, has_header, quotes, skip_bad_rows)
        data = _load(dataset, None if task is None else task.value, data_dir, columns, form)
        recipes, fitting, runs, options, devices = import_stage(
            *(f"rnnx.train.{name}" for name in ("recipes", "fit", "run", "options", "device"))
        )
        devices.choose_device(device.value)
        chosen: Recipe = recipes.find_recipe(recipe or None, data.kind)
        chosen = _with_rule(chosen, tokenizer, data)
        changes = options.Options(
            units=units,
            depth=depth,
            cell=cell and cell.value,
            learning_rate=learning_rate,
            batch_size=batch_size,
            epochs=epochs,
            validation_split=validation_split,
            patience=patience,
            vocabulary_size=vocabulary_size,
            max_length=max_length,
            class_weights=None if class_weights is ClassWeightsName.NONE else class_weights.value,
            embeddings=embeddings,
        )
        if validation is not None:
            if validation_split is not None:
                raise UsageError("--validation names the held-out data, so leave --validation-split out")
            if isinstance(data, LabelSetDataset | RatingDataset):
                raise UsageError(f"--validation is for texts with one label each; leave it out for {data.name}")
            data = _with_validation(data, str(validation), columns, form)
        chosen = options.apply_options(chosen, changes, data)
        place = out or Path("runs") / f"{data.name}-{chosen.name}"
        terminal.note(f"{data.name}: {data.summary()}{_labels(data.labels)}; recipe {chosen.name}")
        if is_fresh:
            remove_checkpoint(checkpoint_place(place))
        with terminal.progress("training", has_time_left=False) as update:
            teller = Teller(place, update)
            observer = fitting.Observer(teller.on_batch, teller.on_epoch, teller.on_resume, teller.on_stage)
            try:
                fitted = runs.train(data, chosen, place, seed=seed, observer=observer, settings=write_config(context))
            except KeyboardInterrupt:
                teller.on_interrupt()
                raise
        teller.on_end(fitted)
    part = fitted.additions.get("linear_part")
    best = {
        "run": str(place),
        **fitted.best.figures(),
        **(fitted.held_out.figures() if fitted.held_out else {}),
        **({"validation_with_linear_part": part["validation_with"]} if part and part["is_used"] else {}),
        "is_interrupted": fitted.is_interrupted,
        "ending": fitted.ending,
    }
    conclusion = fitted.conclusion
    if as_json:
        terminal.write_json({**best, **(conclusion.figures if conclusion else {})})
    else:
        terminal.write_table(("", "Best epoch"), [(k, f"{v:.4f}" if type(v) is float else v) for k, v in best.items()])
        if conclusion:
            terminal.write_table(("", "On the held-out texts"), conclusion.rows)
    _warn_of_no_learning(fitted, data)
    if isinstance(chosen.reading, TokenizerConfig):
        warn_of_unknown_texts(fitted.unknown_share, data.name, "the held-out texts", chosen.reading)
    if fitted.is_interrupted:
        terminal.warning(
            f"stopped after epoch {len(fitted.history)}; {place} holds the best epoch; the same command continues"
        )
        return 130
    terminal.hint(f"rnnx export {place}")
    return None


def _with_rule(recipe: Recipe, tokenizer: RuleName | None, data: AnyDataset) -> Recipe:
    """The recipe with the rule that the user named, or else with the one that fits the data, which is said."""
    from rnnx.train.choose_rule import choose_rule
    from rnnx.train.recipes import with_tokenizer_rule

    if tokenizer is not None:
        return with_tokenizer_rule(recipe, tokenizer.value)
    if not isinstance(recipe.reading, TokenizerConfig):
        return recipe
    rule = choose_rule(data, recipe.reading)
    if rule == recipe.reading.rule:
        return recipe
    terminal.note(f"punctuation marks say much about these labels, so they are words: --tokenizer {rule}")
    return with_tokenizer_rule(recipe, rule)


def _load(
    dataset: str,
    task: TextTask | None,
    data_dir: Path | None,
    columns: Columns,
    form: TableForm,
) -> AnyDataset:
    """Reads the data set, and says what was found out about it."""
    from rnnx.datasets import kind_of, load_any

    kind = kind_of(dataset, columns)
    if task is not None and kind == "sentences":
        raise UsageError(f"--task is for texts and for sequences of numbers, not for {dataset}")
    if (columns.labels or columns.label_delimiter) and task not in (None, "multilabel"):
        raise UsageError(f"--label-columns and --label-delimiter are for --task multilabel, not for {task}")
    return load_any(dataset, task, data_dir=data_dir, columns=columns, form=form, listener=make_listener())


def _with_validation(data: AnyDataset, name: str, columns: Columns, form: TableForm) -> AnyDataset:
    """The data set with a validation part from a file of its own, which is read as the data set is."""
    from rnnx.datasets import SeriesDataset, load_any
    from rnnx.datasets.validation import with_validation

    task = data.task if isinstance(data, SeriesDataset) else "classification"
    return with_validation(data, load_any(name, task, columns=columns, form=form, listener=make_listener()))


def _warn_of_no_learning(fitted: Fit, data: AnyDataset) -> None:
    """Warns if the network is no better than an answer that is always the same, and says what to try."""
    advice = (
        "check that the right columns are read, and try more data, --epochs, another --learning-rate, or "
        "--class-weights balanced"
    )
    if fitted.held_out is not None and fitted.held_out.is_no_better:
        label = data.labels[fitted.held_out.majority_id]
        terminal.warning(
            f"{data.name}: the network has learned nothing: it is right for {100 * fitted.held_out.accuracy:.1f} % of "
            f"the held-out part, and always answering {label} for {100 * fitted.held_out.majority:.1f} %; {advice}"
        )
    elif fitted.best.name == "r2" and fitted.best.validation_score <= 0:
        terminal.warning(
            f"{data.name}: the network has learned nothing: on the held-out part it is no better than the mean of the "
            "values; try more data, --epochs, or another --learning-rate"
        )


def _labels(labels: tuple[str, ...]) -> str:
    more = f" and {len(labels) - _SHOWN_LABELS:,} more" if len(labels) > _SHOWN_LABELS else ""
    return f", labels {', '.join(labels[:_SHOWN_LABELS])}{more}" if labels else ""


def _line(epoch: Epoch) -> str:
    spans = "" if epoch.validation_span_f1 is None else f", F1 of spans {epoch.validation_span_f1:.4f}"
    return (
        f"epoch {epoch.epoch}: {epoch.name} {epoch.score:.4f}, loss {epoch.loss:.4f}, "
        f"validation {epoch.name} {epoch.validation_score:.4f}, loss {epoch.validation_loss:.4f}{spans}"
    )
