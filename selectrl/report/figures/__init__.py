"""The figures of a report: each is panels and words around numbers, drawn the same way every time."""
