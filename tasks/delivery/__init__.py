"""Delivery: each notice is claimed, sent to each of its recipients, and its outcome recorded.

Notices are decided upon in `tasks.advance`, and put into words in `tasks.text`.
"""
