"""SELECT-RL: offline meta-reinforcement learning from interchangeable parts."""

__version__ = "0.1.0"
