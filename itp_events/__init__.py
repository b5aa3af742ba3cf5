"""What happened to a subject and what follows from it: pure rules, no I/O, no clock."""
