"""Asks the text model of a Triton server, with the standard library alone.

python client.py "A wonderful film."    prints the label and its probability
python client.py --golden               compares with golden.json; exits with 1 at the first difference

The server is the one at TRITON_URL; by default, http://127.0.0.1:8000.
"""

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path

HERE = Path(__file__).parent
MODEL = next(HERE.glob("*-text"))
URL = os.environ.get("TRITON_URL", "http://127.0.0.1:8000")
SMALLEST_ROW = 1024  # bytes


def pad(text):
    """Fills a text up with zeros to 1, 2, 4, 8 ... KB. Zeros change no bit, and rows of one length run together."""
    size = SMALLEST_ROW
    while size < len(text):
        size *= 2
    return text.ljust(size, b"\0")


def probabilities(text):
    """The probability of each label, for a text as bytes."""
    row = pad(text)
    tensor = {"name": "text", "datatype": "UINT8", "shape": [1, len(row)], "data": list(row)}
    body = json.dumps({"inputs": [tensor], "outputs": [{"name": "probs"}]}).encode()
    url = f"{URL}/v2/models/{MODEL.name}/infer"
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["outputs"][0]["data"]


def run_golden():
    rows = json.loads((HERE / "golden.json").read_text(encoding="utf-8"))
    for i, row in enumerate(rows):
        answer = probabilities(bytes.fromhex(row["bytes"]))
        difference = max(abs(actual - expected) for expected, actual in zip(row["text_probs"], answer))
        if not difference <= row["tolerance"]:
            print(f"golden text {i}: off by {difference:.3g}, more than {row['tolerance']:.3g}")
            return 1
    print(f"{len(rows)} of {len(rows)} right")
    return 0


def main():
    if len(sys.argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    if sys.argv[1] == "--golden":
        return run_golden()
    answer = probabilities(sys.argv[1].encode("utf-8", "surrogateescape"))
    labels = (MODEL / "labels.txt").read_text(encoding="utf-8").splitlines()
    best = max(range(len(labels)), key=answer.__getitem__)
    print(f"{labels[best]}\t{answer[best]:.6f}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except urllib.error.URLError as error:
        sys.exit(f"{URL}: {error}")
