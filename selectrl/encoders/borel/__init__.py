"""BOReL: a belief over the task, updated at every step."""
