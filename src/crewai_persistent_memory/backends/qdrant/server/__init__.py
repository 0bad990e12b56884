"""A Qdrant server, a cluster, or Qdrant Cloud, through ``qdrant-client``."""
