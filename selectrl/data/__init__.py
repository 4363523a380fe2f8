"""Offline data: how episodes are stored and checked, and how training draws rows from them.

``episodes`` says what one task's data are, ``manifest`` describes a dataset, ``store`` writes and opens it, ``rows``
holds the tasks that a run trains on, and ``sampler`` draws batches from them.
"""
