"""A comparison: its runs, their progress, its fairness and its verdicts.

``conduct`` leads from rows to a :class:`~selectrl.compare.comparison.Comparison`. ``plan`` turns rows into jobs and
shares trained policies, ``state`` reads the progress of the runs from their directories, ``fairness`` checks and lists
the bindings that the rows share, ``run`` executes the missing runs, ``verdicts`` compares the rows. ``tune`` searches
a method's bindings on held-out training tasks.
"""
