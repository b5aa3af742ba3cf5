"""The protocol as data: the schedule of activities and its criteria, read from a YAML file and checked.

This package knows nothing of subjects.
"""
