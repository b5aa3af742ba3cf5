"""Which events the study permits, judged one by one before they enter the log."""
