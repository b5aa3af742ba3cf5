"""The clinical rules: what follows from a subject's events at an instant."""
