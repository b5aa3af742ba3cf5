"""What the trial finds: deviations from the protocol, and the response of the platelets."""
