"""A file, URL, bytes or list of frames becomes `Frames`: pixels and exact times. Imports without torch."""
