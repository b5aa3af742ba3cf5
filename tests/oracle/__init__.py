"""A second implementation of the study's rules, which shares no code with the first.

It reads the protocol file and nothing else of the project. `python -m tests.oracle` holds it against
the plan that the rules give, over random histories.
"""
