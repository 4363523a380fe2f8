"""Launchers of runs: in this process, in parallel processes, or as tasks of a Slurm cluster.

A launcher executes jobs and reports their events. Others plan the jobs and show the events.
"""
