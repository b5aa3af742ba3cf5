"""The events of a subject, and all that follows from them: pure functions of a log and an instant.

This package does no I/O, reads no clock and knows nothing of Prefect.
"""
