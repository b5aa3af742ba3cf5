"""The service loop: it wakes subjects, sends notices, and repairs Prefect's copy of the study."""
