"""The version of rnnx; pyproject.toml reads it here."""

__version__ = "0.2.0"
