"""What people will receive: every text, rendered for typical lives of subjects by the service's own rules.

Nothing is stored and nothing is sent; neither a database nor Prefect is needed.
"""
