"""How good a model is: arrays in, figures out. Imports numpy only.

scikit-learn has most of these figures, and is 150 MB more to install for `rnnx evaluate`; the tests compare with it.
"""
