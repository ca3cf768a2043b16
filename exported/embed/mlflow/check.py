"""Loads the model with MLflow and compares it with golden.json; exits with 1 at the first difference.

python check.py "A wonderful film."    prints the label and its probability
python check.py --golden               compares with data/golden.json
"""

import json
import sys
from pathlib import Path

import mlflow
import pandas

HERE = Path(__file__).parent


def main():
    if len(sys.argv) != 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    model = mlflow.pyfunc.load_model(str(HERE))
    if sys.argv[1] != "--golden":
        (answer,) = model.predict(pandas.DataFrame({"text": [sys.argv[1]]})).itertuples()
        print(f"{answer.label}\t{answer.probability:.6f}")
        return 0
    rows = json.loads((HERE / "data" / "golden.json").read_text(encoding="utf-8"))
    answers = model.predict(pandas.DataFrame({"text": [bytes.fromhex(row["bytes"]) for row in rows]}))
    for i, (row, probs) in enumerate(zip(rows, answers["probabilities"])):
        difference = max(abs(actual - expected) for expected, actual in zip(row["text_probs"], probs))
        if not difference <= row["tolerance"]:
            print(f"golden text {i}: off by {difference:.3g}, more than {row['tolerance']:.3g}")
            return 1
    print(f"mlflow {mlflow.__version__}: {len(rows)} of {len(rows)} right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
