"""Memories as a file, and back: JSON Lines, documented in ``docs/moving.md``."""
