"""What answers operations: Qdrant, and Mem0."""
