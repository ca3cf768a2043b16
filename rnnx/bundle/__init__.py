"""A model on disk: its directory, config and metadata, its recorded predictions, and generated sample projects."""
