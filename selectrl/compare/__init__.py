"""A comparison: which runs it takes, how far they are, whether it is fair, and what it says.

``conduct`` is the comparison from rows to a :class:`~selectrl.compare.comparison.Comparison`. ``plan`` turns rows into
jobs and shares trained policies, ``state`` reads from the run directories what is missing, ``fairness`` checks and
lists which bindings the rows share, ``run`` carries out what is missing, ``verdicts`` compares the rows. ``tune``
searches a method's bindings on held-out training tasks.
"""
