"""The task families, in NumPy, many worlds at once."""

import selectrl.envs.configs  # noqa: F401  registers them
