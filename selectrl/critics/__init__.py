"""Critics: they value actions and states under a task variable."""

import selectrl.critics.configs  # noqa: F401  registers them
