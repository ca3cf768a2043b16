"""How good a model is: accuracy, F1, error, calibration.

`figures` and `calibration` compute figures from arrays, and import numpy only. `side_by_side` compares the figures of
several models.

scikit-learn has most of these figures, and is 150 MB more to install for `rnnx evaluate`; the tests compare with it.
"""
