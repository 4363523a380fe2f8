"""Aggregations: they reduce row embeddings to a task variable."""
