"""Files on disk: reading those of strangers safely, publishing a folder in one step, and locks between processes.

Standard library only.
"""
