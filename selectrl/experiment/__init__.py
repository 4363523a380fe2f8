"""An experiment as one frozen value, and the agents and runs that are built from it."""
