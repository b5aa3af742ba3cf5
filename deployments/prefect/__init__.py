"""Prefect's server, as the service starts it and sets it up."""
