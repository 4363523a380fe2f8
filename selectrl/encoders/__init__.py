"""Context encoders: they work out the task from transitions."""

import selectrl.encoders.configs  # noqa: F401  registers them
