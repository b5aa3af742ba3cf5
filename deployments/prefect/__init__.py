"""Starts Prefect's server and sets it up: its process, its deployments, its automation."""
