"""The service at work: its settings, its command line, its loop, and the doors into it."""
