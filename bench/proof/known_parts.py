"""Collects the parts of the graphs in bundles, which `rnnx verify` then knows.

    python -m bench.proof.known_parts [BUNDLE ...] [--save]

Prints how many parts of each bundle are not in `rnnx/proof/known_parts.txt`; `--save` adds them. Without bundles, the
shipped ones and those of the tests are read. A bundle must be one that this version exported and proved: its parts are
taken for right.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.proof.evidence import read_evidence
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


def main() -> None:
    """Prints the new parts, and saves them if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", nargs="*", type=Path)
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    bundles = options.bundles or sorted([*_ROOT.glob("exported/*/"), *_ROOT.glob("tests/data/bundles/*/")])
    known = set(known_digests())
    for bundle in bundles:
        found = collect(bundle)
        print(f"{bundle}: {len(found)} parts, {len(found - known)} new")
        known |= found
    if options.save:
        _LIST.write_text(format_known_parts(known), encoding="ascii")


if __name__ == "__main__":
    main()
