"""Judging events before they enter the log: each is accepted, known already, or refused by a named rule.

This package does not check the form of an event (events.py does) and does not store it.
"""
