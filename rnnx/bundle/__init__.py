"""A model on disk: the directory, its config and metadata, recorded samples, and projects generated around it."""
