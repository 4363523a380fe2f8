"""The numbers of a report, and the sentences that say what they carry: rows of runs, metrics, comparisons."""
