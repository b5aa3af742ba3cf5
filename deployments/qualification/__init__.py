"""Qualifies an installation: the installed service is used from outside, on an empty study of its own."""
