"""The running study, as flows and doors use it: recording, roles, counts of refusals, waits shown."""
