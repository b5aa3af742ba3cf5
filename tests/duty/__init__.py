"""Simulated weeks of rotas: `python -m tests.duty --weeks 10000 --seed 1`.

The notices go through the real outbox, claims and deliveries. Who was away is known from a book of its own,
written beside the roster (`reference.py`), so that a mistake of the roster is found.
"""
