"""Delivery: each notice is claimed, sent to each of its recipients, and its outcome recorded.

Notices are decided upon in `tasks.advance`, and put into words in `tasks.text`.

`claims` has the words, `claiming` takes, `deliver` sends and records, `deliveries` holds the rows, and
`left_behind` frees the claims of a dead process.
"""
