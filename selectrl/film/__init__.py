"""Films of meta-tests: exploration in unseen tasks, then the adapted policy."""
