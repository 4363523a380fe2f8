"""The Python interface: each command has a function of the same name.

The modules that :mod:`selectrl` imports contain only signatures and docstrings. They import the work at the first call,
so that ``import selectrl`` waits for neither torch nor NumPy.
"""
