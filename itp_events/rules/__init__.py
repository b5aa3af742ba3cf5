"""The clinical rules: a subject's visits, flags, dose, response and deviations at an instant.

This package does not decide which events are permitted (intake does) and records nothing.
"""
