"""A study in virtual time: the rules that run the service, and people who follow a behaviour file."""
