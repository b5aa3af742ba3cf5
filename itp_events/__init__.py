"""What happened to a subject and what follows from it: pure, without I/O, clock or Prefect."""
