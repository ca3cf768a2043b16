"""Collects the parts of the graphs in bundles, which `rnnx verify` then knows.

    python -m bench.proof.known_parts [BUNDLE ...] [--layers] [--save]

Prints how many parts of each bundle are not in `rnnx/proof/known_parts.txt`; `--save` adds them. Without bundles, the
shipped ones and those of the tests are read. A bundle must be one that this version exported and proved: its parts are
taken for right.

`--layers` reads the models of `tests/keras_models` instead, which have every layer that is exported. Each is converted,
and compared with the reference as its test does; the parts of a file that is not within the bound are left out. It
needs the `[train]` extra, and takes an hour or so; `--first NUMBER` goes on at the case with that number, which it
prints before each one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.proof.evidence_metadata import read_evidence
from rnnx.proof.structure import KNOWN_PARTS_NAME, format_known_parts, known_digests, read_parts

_ROOT = Path(__file__).parents[2]
_LIST = _ROOT / "rnnx" / "proof" / KNOWN_PARTS_NAME


def collect(bundle: Path) -> set[str]:
    """Returns the digests of the parts of all files of a bundle."""
    found = set()
    for path in sorted(bundle.glob("*.onnx")):
        data = path.read_bytes()
        model = parse_model(data)
        found |= {part.digest for part in read_parts(data, read_evidence(read_properties(model), model))}
    return found


def collect_from_layers(name: str, *, mask_zero: bool) -> set[str]:
    """Returns the digests of the parts of both forms of a model of the tests; none if a form is not proved."""
    from rnnx.export.golden import GoldenVectors, finish
    from rnnx.export.probes import make_array_traps
    from rnnx.keras_models.plain_model import make_plain
    from rnnx.keras_models.read_network import read_network
    from rnnx.proof.report import ParityReport
    from tests.conversions import build_forms
    from tests.keras_models.compared_forms import compare, make
    from tests.keras_models.layer_bodies import BODIES

    plain = make_plain(make(BODIES[name](), mask_zero=mask_zero)).model
    network = read_network(plain)
    trap, inputs = next(iter(make_array_traps(network).items()))
    golden = GoldenVectors.of(network, {trap: (None, inputs)})
    found = set()
    for form in build_forms(plain, network).values():
        report = compare(network, form)
        if report.problems or not report.passed:
            return set()
        data = finish(form, network, golden, ParityReport(0, 1, 6, (report,), unit="sequences"), {})
        model = parse_model(data)
        found |= {part.digest for part in read_parts(data, read_evidence(read_properties(model), model))}
    return found


def main() -> None:
    """Prints the new parts, and saves them if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", nargs="*", type=Path)
    parser.add_argument("--layers", action="store_true")
    parser.add_argument("--first", type=int, default=1, help="the number of the first case of --layers")
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    known = set(known_digests())
    if options.layers:
        from tests.keras_models.layer_bodies import CASES

        for number, (name, mask_zero) in enumerate(CASES[options.first - 1 :], options.first):
            found = collect_from_layers(name, mask_zero=mask_zero)
            case = f"{number} of {len(CASES)}: {name}{', masked' * mask_zero}"
            print(f"{case}: {len(found)} parts, {len(found - known)} new", flush=True)
            known |= found
            if options.save:
                _LIST.write_text(format_known_parts(known), encoding="ascii")
        return
    bundles = options.bundles or sorted([*_ROOT.glob("exported/*/"), *_ROOT.glob("tests/data/bundles/*/")])
    for bundle in bundles:
        found = collect(bundle)
        print(f"{bundle}: {len(found)} parts, {len(found - known)} new")
        known |= found
    if options.save:
        _LIST.write_text(format_known_parts(known), encoding="ascii")


if __name__ == "__main__":
    main()
