"""Hostile files: sound ones are damaged at random by the thousand, and each is read or refused in one sentence.

``make fuzz`` runs the long form, ``tests/fuzz/test_fuzz.py`` the short one.
"""
