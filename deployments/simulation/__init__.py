"""A study in virtual time: the same rules that run the service, driven by people who follow a behaviour file."""
