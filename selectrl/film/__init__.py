"""Films of meta-tests: exploration in unseen tasks, and what the policy then does."""
