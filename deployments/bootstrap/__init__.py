"""The parts that a process opens before it serves: settings, folders, secrets, the clock, the study."""
