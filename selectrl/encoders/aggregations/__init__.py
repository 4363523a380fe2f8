"""Aggregations: they make one task variable of many row embeddings."""
