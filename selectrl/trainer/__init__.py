"""The agent, the engine that steps it, checkpoints, and the one training loop."""
