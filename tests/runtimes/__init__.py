"""Text models in other languages and engines, against their golden vectors, on the real runtimes."""
