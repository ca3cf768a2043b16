"""Files on disk: reading files of unknown origin, replacing a folder in one step, and locks between processes.

Imports the standard library only.
"""
