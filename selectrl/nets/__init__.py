"""Layers and networks that several parts share."""
