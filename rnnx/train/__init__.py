"""Training: recipes, fitting, curves, and the run directory that export takes up. Needs the [train] extra."""
