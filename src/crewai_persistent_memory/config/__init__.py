"""What can be set, written once: options of a store, of a Qdrant server, of Mem0, and where each may come from."""
