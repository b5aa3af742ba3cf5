"""The service's own client of Prefect's API."""
