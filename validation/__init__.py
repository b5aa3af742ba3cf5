"""The validation pack: what the service must do, which tests show it, and what they showed in one run.

Not part of the service, and not installed with it; `make validation` runs it.
"""
