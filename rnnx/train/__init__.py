"""Trains networks by recipes and writes runs, which `rnnx export` reads. Needs the extra [train]."""
