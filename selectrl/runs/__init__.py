"""The run directory: the names of its files, their typed records, one strict reader and one writer."""
