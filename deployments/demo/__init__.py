"""A demonstration: the real service and Prefect's real UI, in a folder of its own, by a fast clock."""
