"""Context collectors: they gather context in an unseen task."""

import selectrl.collectors.configs  # noqa: F401  registers them
