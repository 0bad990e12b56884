"""Rules about texts that know neither a store nor an embedder: normal forms, words, keywords."""
