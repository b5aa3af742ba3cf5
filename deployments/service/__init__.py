"""The service loop: wakes subjects, sends notices, repairs what Prefect lost, and reports its own health."""
