"""Delivery: each notice is claimed, sent to each of its recipients, and its outcome recorded."""
