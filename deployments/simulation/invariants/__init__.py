"""Statements that must always hold in a simulated study, judged without the service's own rules."""
