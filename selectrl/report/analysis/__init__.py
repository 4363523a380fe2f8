"""The numbers of a report and its sentences: rows of runs, metrics, comparisons."""
