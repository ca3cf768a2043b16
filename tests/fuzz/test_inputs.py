"""Gives random texts, tables, treebanks, arrays and archives to the commands that read them.

`tests.fuzz.checks` says what must hold for each of them. A test's name also names it as a target of
`tests.fuzz.guided`.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz import arrays, datasets, texts
from tests.fuzz.checks import DEVICE, FAILED, MODEL, OK, USAGE, Fuzz, count_errors, read_json
from tests.fuzz.conftest import fuzzed
from tests.fuzz.job import Job, Outcome

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

# The limit in bytes for a text shown on a terminal, because only a thousand rows of a table are laid out in a second.
_SHOWN = 3000

_FORMS = st.sampled_from(((), (), ("-k", "2"), ("--threshold", "0.3"), ("--json",), ("--jsonl",)))


def _answers(job: Job, outcome: Outcome, position: str) -> list[tuple[str, int | None, bool]]:
    """Returns the source, the position and the success of each answered item, in order."""
    if "--json" in job.arguments:
        found = read_json(outcome.out)
    elif "--jsonl" in job.arguments:
        found = [read_json(line) for line in outcome.out.split(b"\n")[:-1]]
    else:
        raise AssertionError("only JSON has every item")
    return [(item["source"], item[position], item["status"] == "ok") for item in found]


def _lines(source: str, data: bytes) -> list[tuple[str, int]]:
    count = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
    return [(source, number) for number in range(1, count + 1)]


def _check_answers(fuzz: Fuzz, job: Job, outcome: Outcome, expected: list[tuple[str, int | None]]) -> None:
    """Checks that every item has an answer or an error line, in order, and that JSON says the same."""
    failed = count_errors(outcome)
    if (outcome.code == FAILED) != (failed > 0):
        fuzz.fail(job, outcome, "the exit code and the errors disagree")
    if {"--json", "--jsonl"} & set(job.arguments):
        answers = _answers(job, outcome, "line")
        if [answer[:2] for answer in answers] != expected or sum(not answer[2] for answer in answers) != failed:
            fuzz.fail(job, outcome, f"answers {answers}, expected {expected} and {failed} errors")
    elif not job.is_terminal and len(outcome.out.splitlines()) != len(expected) - failed:
        fuzz.fail(job, outcome, f"{len(outcome.out.splitlines())} rows for {len(expected)} items and {failed} errors")


@fuzzed(2200)
@given(st.lists(st.tuples(texts.names, texts.text_bytes), min_size=1, max_size=3), _FORMS, st.booleans(), st.booleans())
def test_infer_answers_any_texts(
    fuzz: Fuzz, given_files: list[tuple[str, bytes]], form: tuple[str, ...], lines: bool, tty: bool
) -> None:
    files = {name: data[:_SHOWN] if tty else data for name, data in given_files}
    sources = [name for name, _ in given_files]
    model = ("--model", str(fuzz.bundles["texts"]))
    job = Job(("infer", *model, *form, *(["--lines"] if lines else []), "--", *sources), files, is_terminal=tty)
    notes = ("next: rnnx info",) if tty else ()
    outcome = fuzz.run(job, (OK, FAILED), notes=notes)
    expected: list[tuple[str, int | None]] = []
    for source in sources:
        expected += _lines(source, files[source]) if lines else [(source, None)]
    _check_answers(fuzz, job, outcome, expected)


@fuzzed(600)
@given(texts.text_bytes, _FORMS, st.booleans())
def test_infer_answers_any_stdin(fuzz: Fuzz, data: bytes, form: tuple[str, ...], lines: bool) -> None:
    model = ("--model", str(fuzz.bundles["texts"]))
    job = Job(("infer", *model, *form, *(["--lines"] if lines else []), "-"), stdin=data)
    expected: list[tuple[str, int | None]] = [*_lines("-", data)] if lines else [("-", None)]
    _check_answers(fuzz, job, fuzz.run(job, (OK, FAILED)), expected)


@fuzzed(900)
@given(
    texts.text_bytes, st.sampled_from(((), ("--json",), ("--jsonl",), ("--label", "pos"))), st.booleans(), st.booleans()
)
def test_explain_answers_any_text(fuzz: Fuzz, data: bytes, form: tuple[str, ...], lines: bool, tty: bool) -> None:
    data = data[:_SHOWN] if tty else data
    model = ("--model", str(fuzz.bundles["texts"]))
    job = Job(("explain", *model, *form, *(["--lines"] if lines else []), "a.txt"), {"a.txt": data}, is_terminal=tty)
    outcome = fuzz.run(job, (OK, FAILED), notes=("a.txt:", "next: rnnx infer"))
    if form[:1] in (("--json",), ("--jsonl",)):
        expected: list[tuple[str, int | None]] = [*_lines("a.txt", data)] if lines else [("a.txt", None)]
        _check_answers(fuzz, job, outcome, expected)


@fuzzed(700)
@given(texts.text_bytes, st.sampled_from(("texts", "ids", "sensor")), st.sampled_from(((), ("--jsonl",))))
def test_follow_answers_any_stream(fuzz: Fuzz, data: bytes, name: str, form: tuple[str, ...]) -> None:
    job = Job(("infer", "--follow", "--model", str(fuzz.bundles[name]), *form, "-"), stdin=data)
    outcome = fuzz.run(job, (OK, FAILED))
    for line in outcome.out.splitlines() if form else ():
        read_json(line)


@fuzzed(1300)
@given(
    st.one_of(texts.text_bytes, texts.treebanks),
    st.sampled_from(("a.txt", "a.conllu")),
    st.sampled_from(((), ("--conllu",), ("--json",), ("--jsonl",))),
    st.booleans(),
    st.booleans(),
)
def test_a_tagger_answers_any_words(
    fuzz: Fuzz, data: bytes, name: str, form: tuple[str, ...], lines: bool, tty: bool
) -> None:
    data = data[:_SHOWN] if tty else data
    model = ("--model", str(fuzz.bundles["words"]))
    job = Job(("infer", *model, *form, *(["--lines"] if lines else []), name), {name: data}, is_terminal=tty)
    outcome = fuzz.run(job, (OK, FAILED), notes=("next: rnnx info",))
    if {"--json", "--jsonl"} & set(form) and name == "a.txt":
        expected: list[tuple[str, int | None]] = [*_lines(name, data)] if lines else [(name, None)]
        _check_answers(fuzz, job, outcome, expected)


@fuzzed(1800)
@given(
    st.one_of(
        arrays.npy().map(lambda data: ("a.npy", data)),
        arrays.npz().map(lambda data: ("a.npz", data)),
        arrays.number_tables.map(lambda data: ("a.csv", data)),
    ),
    st.sampled_from(("sensor", "ids", "series")),
    st.sampled_from(((), ("--json",), ("--jsonl",))),
)
def test_infer_answers_any_numbers(fuzz: Fuzz, file: tuple[str, bytes], name: str, form: tuple[str, ...]) -> None:
    job = Job(("infer", "--model", str(fuzz.bundles[name]), *form, file[0]), {file[0]: file[1]})
    outcome = fuzz.run(job, (OK, FAILED))
    if form:
        answers = _answers(job, outcome, "index")
        assert sum(not answer[2] for answer in answers) == count_errors(outcome)
        assert [answer[1] for answer in answers] in ([None], list(range(len(answers))))


# What is said about a table or a layout that was found out.
_FOUND = ("text column: ", "label column: ", "blanks around the label ", "reviews: one f", "reviews.")
_TABLES = st.one_of(
    datasets.csv_files.map(lambda data: ("a.csv", data)),
    datasets.tsv_files.map(lambda data: ("a.tsv", data)),
    datasets.jsonl_files.map(lambda data: ("a.jsonl", data)),
    datasets.json_files.map(lambda data: ("a.json", data)),
    datasets.packed_files,
    datasets.columnar_files,
)
_TABLE_OPTIONS = ((), (), ("--skip-bad-rows",), ("--no-header",), ("--no-quotes",), ("--encoding", "utf-16"))


@fuzzed(1600)
@given(
    _TABLES,
    st.sampled_from((*_TABLE_OPTIONS, ("--json",), ("--part", "test"), ("--text-column", "x"))),
)
def test_evaluate_reads_or_refuses_any_table(fuzz: Fuzz, file: tuple[str, bytes], form: tuple[str, ...]) -> None:
    job = Job(("evaluate", str(fuzz.bundles["texts"]), file[0], *form), {file[0]: file[1]})
    _check_figures(job, fuzz.run(job, (OK, FAILED, MODEL), notes=_FOUND))


@fuzzed(800)
@given(
    _TABLES,
    st.sampled_from(((), ("--probs",), ("--jsonl",), ("--no-header",))),
    st.sampled_from(("text", "1")),
    st.booleans(),
)
def test_infer_answers_or_refuses_any_table(
    fuzz: Fuzz, file: tuple[str, bytes], form: tuple[str, ...], column: str, tty: bool
) -> None:
    command = ("infer", "--model", str(fuzz.bundles["texts"]), file[0], "--text-column", column)
    job = Job((*command, *form), {file[0]: file[1]}, is_terminal=tty)
    fuzz.run(job, (OK, FAILED, MODEL))


@fuzzed(1600)
@given(datasets.archives, st.sampled_from(((), ("--json",), ("--part", "train"))))
def test_evaluate_reads_or_refuses_any_archive(fuzz: Fuzz, file: tuple[str, bytes], form: tuple[str, ...]) -> None:
    name = f"reviews{file[0]}"
    job = Job(("evaluate", str(fuzz.bundles["texts"]), name, *form), {name: file[1]})
    _check_figures(job, fuzz.run(job, (OK, FAILED, MODEL), notes=_FOUND))


@fuzzed(900)
@given(texts.treebanks, st.sampled_from(((), ("--json",))), st.sampled_from(("a.conllu", "a-train.conllu")))
def test_evaluate_reads_or_refuses_any_treebank(fuzz: Fuzz, data: bytes, form: tuple[str, ...], name: str) -> None:
    job = Job(("evaluate", str(fuzz.bundles["words"]), name, *form), {name: data, "a-test.conllu": data[:400]})
    _check_figures(job, fuzz.run(job, (OK, FAILED)))


@fuzzed(1000)
@given(arrays.npz(), st.sampled_from(("series", "sensor")), st.sampled_from(((), ("--json",))))
def test_evaluate_reads_or_refuses_any_series(fuzz: Fuzz, data: bytes, name: str, form: tuple[str, ...]) -> None:
    job = Job(("evaluate", str(fuzz.bundles[name]), "a.npz", *form), {"a.npz": data})
    _check_figures(job, fuzz.run(job, (OK, FAILED, MODEL), notes=_FOUND))


_TYPED = (
    "infer", "explain", "evaluate", "info", "diff", "embed", "python", "a.txt", "-", "--", "--model", "--json",
    "--jsonl", "--lines", "--label", "-k", "0", "2", "--threshold", "nan", "1e9", "--help", "--version", "--out",
    "out", "--device", "cuda", "--beside",
)  # fmt: skip


@fuzzed(300)
@given(
    st.lists(st.one_of(st.sampled_from(_TYPED), st.sampled_from(_TYPED), texts.names, st.text(max_size=5)), max_size=6)
)
def test_any_arguments_are_run_or_refused(fuzz: Fuzz, arguments: list[str]) -> None:
    """The arguments are any words that a user could type."""
    model = ["--model", str(fuzz.bundles["texts"])] if arguments[:1] in (["infer"], ["explain"]) else []
    job = Job((*arguments[:1], *model, *arguments[1:]), {"a.txt": b"a great film"}, target="out")
    fuzz.run(job, (OK, FAILED, USAGE, MODEL, DEVICE))


def _check_figures(job: Job, outcome: Outcome) -> None:
    if outcome.code == OK and "--json" in job.arguments:
        assert read_json(outcome.out)["count"] > 0
