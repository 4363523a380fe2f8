"""Actor losses: they train the agent's policy."""

import selectrl.actors.configs  # noqa: F401  registers them
