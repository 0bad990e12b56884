"""Memories in Qdrant: one layout, one store, an engine for each way to run it."""
