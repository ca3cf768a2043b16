"""How far float32 rounding can move a network's values from the float64 reference, derived. Imports numpy only."""
