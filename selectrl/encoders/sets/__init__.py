"""Encoders of unordered sets of transitions."""
