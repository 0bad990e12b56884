"""Qdrant's own engine in this process, one folder per store."""
