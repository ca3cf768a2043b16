"""The model card: a README.md written from the files of a bundle."""
