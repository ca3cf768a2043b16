"""Whether the proof tells right files from wrong ones, and the measured figures that its bounds use."""
