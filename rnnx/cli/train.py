"""`rnnx train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnx.bundle.config import TokenizerConfig
from rnnx.bundle.directory import require_replaceable
from rnnx.cli import terminal
from rnnx.cli.config_file import write_config
from rnnx.cli.extras import import_stage, require_packages
from rnnx.cli.infer import DeviceName
from rnnx.cli.progress_bars import show_progress
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
    split_names,
)
from rnnx.cli.tensorflow_log import quiet_tensorflow
from rnnx.cli.train_data import load_training_data, with_validation_data
from rnnx.cli.train_messages import Teller, list_labels, warn_of_no_learning
from rnnx.cli.train_options import (
    BatchSizeOption,
    CellOption,
    ClassWeightsName,
    ClassWeightsOption,
    ConfigOption,
    DataDirOption,
    DatasetArgument,
    EmbeddingsOption,
    EpochsOption,
    FreshOption,
    LayersOption,
    LearningRateOption,
    MaxLengthOption,
    OutOption,
    PatienceOption,
    RecipeOption,
    SeedOption,
    TaskOption,
    TokenizerOption,
    TrainingDeviceOption,
    UnitsOption,
    ValidationOption,
    ValidationSplitOption,
    VocabularySizeOption,
)
from rnnx.cli.unknown_texts import warn_of_unknown_texts
from rnnx.errors import UsageError

if TYPE_CHECKING:
    from rnnx.datasets import AnyDataset
    from rnnx.train.fit import Fit
    from rnnx.train.recipes import Recipe


def train(
    context: typer.Context,
    dataset: DatasetArgument = "imdb",
    recipe: RecipeOption = None,
    task: TaskOption = None,
    tokenizer: TokenizerOption = None,
    out: OutOption = None,
    data_dir: DataDirOption = None,
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
    seed: SeedOption = 0,
    vocabulary_size: VocabularySizeOption = None,
    max_length: MaxLengthOption = None,
    embeddings: EmbeddingsOption = None,
    device: TrainingDeviceOption = DeviceName.AUTO,
    config: ConfigOption = None,
    is_fresh: FreshOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int | None:
    """Train a network on texts, words or numbers.

    The data are labelled texts, tagged sentences or sequences of numbers. Ctrl-C keeps the best epoch so far. After an
    interruption, the same command continues from the last finished epoch.
    """
    from rnnx.datasets import Columns, TableForm
    from rnnx.train.checkpoint import checkpoint_place, remove_checkpoint

    with quiet_tensorflow(), own_temporary_files():
        # The place and the data are looked at before TensorFlow is loaded, so that a mistake is answered at once.
        require_packages("tensorflow", "keras")
        if out is not None:
            require_replaceable(out)
        columns = Columns(
            text=text_column,
            label=label_column,
            labels=split_names(label_columns),
            label_delimiter=label_delimiter,
            tag=tag_column,
        )
        form = TableForm(delimiter, encoding, has_header, quotes, skip_bad_rows)
        data = load_training_data(dataset, None if task is None else task.value, data_dir, columns, form)
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
            data = with_validation_data(data, str(validation), columns, form)
        chosen = options.apply_options(chosen, changes, data)
        place = out or Path("runs") / f"{data.name}-{chosen.name}"
        terminal.note(f"{data.name}: {data.summary()}{list_labels(data.labels)}; recipe {chosen.name}")
        if is_fresh:
            remove_checkpoint(checkpoint_place(place))
        with show_progress("training", has_time_left=False) as update:
            teller = Teller(place, update)
            observer = fitting.Observer(
                teller.on_batch, teller.on_epoch, teller.on_resume, teller.on_stage, teller.on_retraining
            )
            try:
                fitted = runs.train(data, chosen, place, seed=seed, observer=observer, settings=write_config(context))
            except KeyboardInterrupt:
                teller.on_interrupt()
                raise
        teller.on_end(fitted)
    _write_results(fitted, place, as_json=as_json)
    warn_of_no_learning(fitted, data)
    if isinstance(chosen.reading, TokenizerConfig):
        warn_of_unknown_texts(fitted.unknown_share, data.name, "the held-out texts", chosen.reading)
    if fitted.is_interrupted:
        terminal.warning(
            f"stopped after epoch {len(fitted.history)}; {place} holds the best epoch; the same command continues"
        )
        return 130
    terminal.hint(f"rnnx export {place}")
    return None


def _write_results(fitted: Fit, place: Path, *, as_json: bool) -> None:
    """Writes the figures of the best epoch, and those of the held-out texts."""
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
