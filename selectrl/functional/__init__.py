"""The maths, as small pure functions: tensors in, tensors out; no self, no config, no randomness.

``estimates`` needs NumPy alone; the other modules need torch. Import the module that you need.
"""
