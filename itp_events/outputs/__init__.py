"""What is made of a subject's events for readers: plans, comparisons of protocols, SDTM tables."""
