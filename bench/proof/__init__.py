"""Measures whether the proof tells right files from wrong ones, and the figures that its bounds use."""
