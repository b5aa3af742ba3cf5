"""What a wake costs here, measured beside Prefect's own way of running flows."""
