"""Electronic signatures: on recorded events and on reviews, bound to what was signed by its hash."""
