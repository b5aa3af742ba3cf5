"""The service's own client of Prefect's API.

It does not execute flow runs: `deployments.service.runner` does.
"""
