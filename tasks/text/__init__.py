"""The texts of notices and digests, one template a step in each language.

The pages of Prefect's UI have texts of their own (`tasks.board`).
"""
