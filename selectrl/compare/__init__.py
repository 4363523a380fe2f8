"""A comparison: which runs it takes, how far they are, whether it is fair, and what it says.

``plan`` turns rows into jobs and shares trained policies, ``state`` reads from the run directories what is missing,
``fairness`` checks and lists what is alike, ``run`` carries the plan out, ``verdicts`` says who is above whom.
"""
