"""The examples at the end of each command's help; a test makes sure that their options exist."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "train": (
        "rnnx train imdb",
        "rnnx train reviews.csv --text-column review --label-column stars",
        "rnnx train en_ewt-ud-train.conllu --out runs/pos",
        "rnnx train sensors.npz --task regression",
    ),
    "export": (
        "rnnx export runs/reviews-default",
        "rnnx export model.keras --out exported/mine --labels neg,pos",
        "rnnx export runs/reviews-default --streaming",
    ),
    "infer": (
        "rnnx infer review.txt",
        "rnnx infer --lines reviews.txt --jsonl",
        "rnnx infer --model pos --conllu text.txt",
        "rnnx infer --model exported/mine data.npz",
    ),
    "explain": ("rnnx explain review.txt", "rnnx explain --lines reviews.txt --jsonl"),
    "verify": ("rnnx verify imdb", "rnnx verify exported/mine/model.onnx"),
    "diff": ("rnnx diff imdb imdb-article --texts reviews.txt", "rnnx diff imdb imdb --device-b cuda"),
    "evaluate": ("rnnx evaluate imdb imdb", "rnnx evaluate exported/mine reviews.csv --save"),
    "info": ("rnnx info", "rnnx info exported/mine --json", "rnnx info --target node"),
    "embed": ("rnnx embed node", "rnnx embed rust exported/mine --out app"),
    "doctor": ("rnnx doctor",),
}


def epilog(command: str) -> str:
    """Returns the examples of a command as the end of its help.

    Args:
        command: The name of the command.
    """
    # The character \b keeps click from wrapping the lines.
    return "\b\nExamples:\n" + "\n".join(f"  {example}" for example in EXAMPLES[command])
