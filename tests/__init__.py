"""The rules of the study and of the service, each held by a test named after it."""
