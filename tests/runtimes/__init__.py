"""Runs text models in other languages and engines, on the real runtimes, against their golden vectors."""
