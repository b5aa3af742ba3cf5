"""The audit trail, read for a monitor: corrections, late entries, decisions, refusals, sign-ins, repairs."""
