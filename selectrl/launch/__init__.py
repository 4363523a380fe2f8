"""How runs are carried out: in this process, in processes side by side, or as tasks of a Slurm cluster.

A launcher takes jobs and tells what happens to them; who plans the jobs and who shows the events is not its business.
"""
