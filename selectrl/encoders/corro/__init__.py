"""CORRO: transitions of one task, contrasted with the outcome of the same (s, a) in another."""
