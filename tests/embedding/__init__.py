"""Embedders and rerankers that run in the process, on models in folders. No test needs a network."""
