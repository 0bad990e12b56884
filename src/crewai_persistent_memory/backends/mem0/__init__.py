"""Memories in Mem0: its cloud, or its open-source library with any of its vector stores."""
