"""The definition of every layer and of a network, in NumPy, in float64."""
