"""How good a model is: accuracy, F1, error, calibration.

`figures` and `calibration` compute figures from arrays, and import numpy only. `side_by_side` compares the figures of
several models.
"""
