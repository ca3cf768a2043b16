"""The options of `rnnx train`, in the groups in which `--help` shows them; those of tables are in `table_options`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from rnnx.cli.config_file import read_config
from rnnx.cli.infer import DeviceName
from rnnx.cli.rule_names import RuleName

TABLE, NETWORK, LEARNING, WORDS = "Tables", "Network", "Learning", "Words"


class CellName(StrEnum):
    """The choices of `--cell`."""

    SIMPLE = "simple"
    LSTM = "lstm"
    GRU = "gru"


class ClassWeightsName(StrEnum):
    """The choices of `--class-weights`."""

    BALANCED = "balanced"
    NONE = "none"


class TaskName(StrEnum):
    """The choices of `--task`."""

    CLASSIFICATION = "classification"
    MULTILABEL = "multilabel"
    REGRESSION = "regression"


DatasetArgument: TypeAlias = Annotated[
    str,
    typer.Argument(
        help="imdb, or a folder or archive of train/<label>/*.txt, or a table (.csv, .tsv, .jsonl, .json, "
        ".parquet, .arrow, .xlsx, packed or not), or a .conllu, .conll or .npz file."
    ),
]
RecipeOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        help="default, or article (the article's network to the letter), tagger (a tag for each word), or series "
        "(numbers). [default: tagger for .conllu and .conll, series for .npz, else default]"
    ),
]
TaskOption: TypeAlias = Annotated[
    TaskName | None,
    typer.Option(
        help="classification: a label for each text or sequence. multilabel: several labels for each text. "
        "regression: a number, such as a rating. [default: classification; multilabel if a table has lists]"
    ),
]
TokenizerOption: TypeAlias = Annotated[
    RuleName | None,
    typer.Option(
        help="How texts become words: unicode-14 (every script), unicode-14-marks (punctuation marks are "
        "words, too), or bytes (lower-cases ASCII, splits at ASCII characters). [default: unicode-14; "
        "unicode-14-marks if marks help with these labels; bytes for the recipe article]"
    ),
]
OutOption: TypeAlias = Annotated[
    Path | None, typer.Option(help="The folder of the run. [default: runs/DATASET-RECIPE]")
]
DataDirOption: TypeAlias = Annotated[
    Path | None, typer.Option(help="The folder of the IMDB reviews, packed or not. [default: download]")
]
UnitsOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        rich_help_panel=NETWORK,
        help="Units of each recurrent layer, in each direction. [default: 64; 96 for words, 32 for numbers]",
    ),
]
LayersOption: TypeAlias = Annotated[
    int | None,
    typer.Option("--layers", min=1, max=8, rich_help_panel=NETWORK, help="Recurrent layers. [default: 1; 2 for words]"),
]
CellOption: TypeAlias = Annotated[
    CellName | None, typer.Option(rich_help_panel=NETWORK, help="Kind of the recurrent layers. [default: simple]")
]
LearningRateOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=1e-9,
        max=10,
        rich_help_panel=LEARNING,
        help="Learning rate at the start; it falls to 0. [default: 0.008; 0.003 for words, 0.005 for numbers]",
    ),
]
BatchSizeOption: TypeAlias = Annotated[
    int | None,
    typer.Option(min=1, rich_help_panel=LEARNING, help="Examples per step. [default: 128; 32 for words and numbers]"),
]
EpochsOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        rich_help_panel=LEARNING,
        help="Passes over the data. [default: as many as small data need; 3 for large data, 8 for words]",
    ),
]
PatienceOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        rich_help_panel=LEARNING,
        help="Stop after this many epochs without a better validation. [default: the recipe's]",
    ),
]
ValidationSplitOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        max=0.9,
        rich_help_panel=LEARNING,
        help="The share of the data that is held out to choose the best epoch. [default: 0.1; 0.2 for words, numbers]",
    ),
]
ValidationOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=LEARNING,
        help="Choose the best epoch on this data set, and hold nothing out. [default: a share of the data]",
    ),
]
ClassWeightsOption: TypeAlias = Annotated[
    ClassWeightsName,
    typer.Option(
        rich_help_panel=LEARNING,
        show_default=False,
        help="balanced: rare labels count as much as frequent ones. [default: none]",
    ),
]
SeedOption: TypeAlias = Annotated[
    int,
    typer.Option(
        min=0,
        max=2**32 - 1,
        rich_help_panel=LEARNING,
        help="Seed of the split, the initial weights and the order of the batches.",
    ),
]
VocabularySizeOption: TypeAlias = Annotated[
    int | None,
    typer.Option(min=4, rich_help_panel=WORDS, help="The most words. [default: 29000; 20000 for words with tags]"),
]
MaxLengthOption: TypeAlias = Annotated[
    int | None,
    typer.Option(min=2, rich_help_panel=WORDS, help="The most words of a text. [default: 600; 200 for sentences]"),
]
EmbeddingsOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=WORDS,
        help="Word vectors to start from: GloVe's format or fastText's .vec, plain or .gz. [default: random ones]",
    ),
]
TrainingDeviceOption: TypeAlias = Annotated[
    DeviceName, typer.Option(help="auto takes a GPU if TensorFlow finds one; cuda never falls back to the CPU.")
]
ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        callback=read_config,
        is_eager=True,
        help="A TOML file of options, such as the train.toml of a run, which repeats it. [default: none]",
    ),
]
FreshOption: TypeAlias = Annotated[
    bool,
    typer.Option("--fresh", help="Delete the checkpoint of an unfinished training, OUT.checkpoint, and begin again."),
]
