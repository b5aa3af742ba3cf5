"""Documents made from a subject's events: plans, comparisons of protocol versions, SDTM tables.

This package decides nothing that the service acts on.
"""
