"""The people of a simulated study: how they attend, answer, enrol and err."""
