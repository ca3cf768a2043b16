"""How good a model is: arrays in, figures out. Imports numpy only."""
