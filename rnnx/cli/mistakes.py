"""Turns the errors of typer's parser into one plain line each, and finds the command or option that was meant.

Standard library only; nothing here depends on a version of typer, except for the attributes that its errors share with
click's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches

from rnnx.errors import UsageError

# Words of other tools, and of everyday speech, for a command of rnnx.
_OTHER_COMMANDS = {
    **dict.fromkeys(("predict", "classify", "run", "tag", "label", "apply", "use"), "infer"),
    **dict.fromkeys(("fit", "learn", "build"), "train"),
    **dict.fromkeys(("convert", "save", "onnx"), "export"),
    **dict.fromkeys(("test", "eval", "score", "measure", "benchmark"), "evaluate"),
    **dict.fromkeys(("check", "prove", "proof", "validate"), "verify"),
    **dict.fromkeys(("compare",), "diff"),
    **dict.fromkeys(("show", "describe", "list", "models", "inspect"), "info"),
    **dict.fromkeys(("why", "highlight", "interpret"), "explain"),
    **dict.fromkeys(("sample", "init", "new", "scaffold"), "embed"),
    **dict.fromkeys(("version", "status", "env", "install"), "doctor"),
}
_OTHER_OPTIONS = {
    **dict.fromkeys(("--gpu", "--cuda"), "--device cuda"),
    "--cpu": "--device cpu",
    **dict.fromkeys(("-o", "--output", "--output-dir", "--save-dir", "--dest"), "--out"),
    **dict.fromkeys(("-m", "--bundle"), "--model"),
    **dict.fromkeys(("-n", "--n-epochs", "--num-epochs"), "--epochs"),
    **dict.fromkeys(("--top", "--top-k"), "-k"),
    "--random-state": "--seed",
    "--line": "--lines",
    **dict.fromkeys(("--lr", "--rate"), "--learning-rate"),
    **dict.fromkeys(("--hidden-size", "--hidden", "--rnn-units"), "--units"),
    **dict.fromkeys(("--num-layers", "--n-layers", "--depth"), "--layers"),
    **dict.fromkeys(("--rnn", "--rnn-type", "--cell-type"), "--cell"),
    **dict.fromkeys(("--val-split", "--valid-split"), "--validation-split"),
    **dict.fromkeys(("--valid", "--dev", "--val", "--eval-set"), "--validation"),
    **dict.fromkeys(("--vocab-size", "--max-words"), "--vocabulary-size"),
    **dict.fromkeys(("--max-len", "--max-seq-length"), "--max-length"),
    **dict.fromkeys(("--class-weight", "--balanced"), "--class-weights"),
    **dict.fromkeys(("--vectors", "--glove", "--word-vectors"), "--embeddings"),
    **dict.fromkeys(("--early-stopping",), "--patience"),
}
_OTHER_VALUES = {"gpu": "cuda", "nvidia": "cuda", "float32": "f32", "float16": "f16", "fp16": "f16", "dev": "test"}
# What click and typer say of a value that is not one of an option's choices.
_NO_CHOICE = re.compile(r"'(?P<value>.*)' is not one of (?P<choices>'.*')\.?$", re.DOTALL)

# What they say of a value that is no number, and of a number that is not allowed.
_NO_NUMBER = re.compile(r"'(?P<value>.*)' is not a valid (int|integer|float)( range)?\.?$", re.DOTALL)
_OUT_OF_RANGE = re.compile(r"^(?P<value>\S+) is not in the range ")


def require_command(name: str, commands: Sequence[str]) -> None:
    """Makes sure that a word is a command.

    Args:
        name: The word.
        commands: The commands of rnnx.

    Raises:
        UsageError: Names the command that was probably meant, or all of them.
    """
    if name in commands:
        return
    word = name.lower()
    meant = [_OTHER_COMMANDS[word]] if word in _OTHER_COMMANDS else get_close_matches(word, commands, n=2)
    rest = f"did you mean {_either([f'rnnx {command}' for command in meant])}?" if meant else ""
    raise UsageError(f"there is no command {name!r:.60}; {rest or 'the commands are ' + ', '.join(commands)}")


def describe(error: Exception, command: str) -> str:
    """Describes an error of the parser in one line, with what to do.

    Args:
        error: The error of typer or click.
        command: The command that it belongs to; empty for rnnx itself.
    """
    if (name := getattr(error, "option_name", None)) is not None:
        return _describe_option(error, name, command)
    param = getattr(error, "param", None)
    message = str(getattr(error, "message", "") or "")
    if param is None or not message:  # a missing argument, or too many of them
        text = str(getattr(error, "format_message", lambda: message)()).rstrip(".")
        return f"{text[:1].lower()}{text[1:]}; {_help(command)}"
    option = (getattr(param, "opts", None) or [getattr(param, "name", "")])[0]
    value = option if option.startswith("-") else option.upper()
    if match := _NO_CHOICE.search(message):
        return f"{value} {_describe_choices(match)}"
    if match := _NO_NUMBER.search(message) or _OUT_OF_RANGE.search(message):
        expected = _describe_number(match["value"], getattr(param, "type", None))
        return f"{value}: {expected}; {_help(command)}"
    reason = message.removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
    return f"{value}: {reason[:1].lower()}{reason[1:]}; {_help(command)}"


def _describe_option(error: Exception, name: str, command: str) -> str:
    possible = [_OTHER_OPTIONS[name]] if name in _OTHER_OPTIONS else list(getattr(error, "possibilities", None) or ())
    has_guess = bool(possible) and possible != ["--help"]
    return f"there is no option {name}; {f'did you mean {_either(possible)}?' if has_guess else _help(command)}"


def _describe_choices(match: re.Match[str]) -> str:
    choices = re.findall(r"'([^']*)'", match["choices"])
    value = match["value"]
    close = get_close_matches(value.lower(), choices, n=1)
    meant = _OTHER_VALUES.get(value.lower()) or next(iter(close), None)
    ending = f"; did you mean {meant}?" if meant in choices else ""
    return f"should be {_either(choices)}, not {value!r:.60}{ending}"


def _describe_number(value: str, kind: object) -> str:
    """Describes a value that is no number, or one that is not allowed."""
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    number = "a whole number" if "int" in str(getattr(kind, "name", "")) else "a number"
    allowed = {
        (False, False): "",
        (True, False): f" of at least {least}",
        (False, True): f" of at most {most}",
        (True, True): f" from {least} to {most}",
    }[least is not None, most is not None]
    return f"should be {number}{allowed}, not {value!r:.60}"


def _either(words: Sequence[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def _help(command: str) -> str:
    return f"see rnnx {command} --help" if command else "see rnnx --help"
