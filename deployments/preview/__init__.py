"""Renders every text that people will receive, for typical lives of subjects, by the service's own rules.

Nothing is stored and nothing is sent; neither a database nor Prefect is needed.
"""
