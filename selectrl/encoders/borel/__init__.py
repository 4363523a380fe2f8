"""BOReL: a belief over the task, filtered at every step."""
