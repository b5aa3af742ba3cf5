"""What a process needs before it serves: settings, folders, secrets, the clock, the open study."""
