"""An experiment as one frozen value, and what is built and run from it."""
