"""Text processing without a store or an embedder: normal form, words, BM25 keywords."""
