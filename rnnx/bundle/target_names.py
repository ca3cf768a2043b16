"""Finds the target of `rnnx embed` that was meant by a word. Imports the standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

# What people type for a target, and the targets that it may mean.
OTHER_NAMES = {
    **dict.fromkeys(("js", "javascript", "ts", "typescript", "npm"), ("node", "browser")),
    **dict.fromkeys(("nodejs", "node.js", "electron", "deno", "bun"), ("node",)),
    **dict.fromkeys(("web", "html", "page", "wasm", "chrome", "chromium", "firefox", "vite", "webpack"), ("browser",)),
    **dict.fromkeys(("py", "python3", "pip", "pypi"), ("python",)),
    **dict.fromkeys(("rs", "cargo", "crate"), ("rust",)),
    "golang": ("go",),
    **dict.fromkeys(("c++", "cxx", "cc"), ("cpp",)),
    **dict.fromkeys(("c#", "cs", ".net", "dotnet"), ("csharp",)),
    **dict.fromkeys(("jvm", "maven", "kotlin", "scala", "android"), ("java",)),
    **dict.fromkeys(("hf", "hub", "transformers"), ("huggingface",)),
    **dict.fromkeys(("nvidia", "pytriton"), ("triton",)),
}


def describe_unknown(name: str, choices: Sequence[str]) -> str:
    """Describes a word that is no target, with what was probably meant.

    Args:
        name: The word.
        choices: The targets that can be chosen.

    Returns:
        One sentence. It names the targets that were probably meant, or all of them.
    """
    word = name.lower()
    close = get_close_matches(word, choices, n=1, cutoff=0.7)
    meant = [target for target in OTHER_NAMES.get(word, close) if target in choices]
    rest = f"did you mean {' or '.join(meant)}?" if meant else f"choose one of {', '.join(choices)}"
    return f"there is no sample for {name!r:.60}; {rest}"
