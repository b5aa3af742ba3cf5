"""How the service runs: settings, command line, service, its round, and the doors into it."""
