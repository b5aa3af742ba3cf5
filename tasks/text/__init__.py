"""The texts of notices and digests, one template a step in each language."""
