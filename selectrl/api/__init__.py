"""The Python interface: each command of the command line is the function of its name here.

The modules that :mod:`selectrl` imports hold signatures and docstrings alone. They import the work at the first call,
so that ``import selectrl`` waits for neither torch nor NumPy.
"""
