"""The run directory: the names of its files, their typed records, a strict reader and a writer."""
