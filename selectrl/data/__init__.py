"""Offline data: storage and checks of episodes, and the rows that training draws from them.

``episodes`` defines the data of one task, ``manifest`` describes a dataset, ``store`` writes and opens it, ``rows``
holds the tasks that a run trains on, and ``sampler`` draws batches from them.
"""
