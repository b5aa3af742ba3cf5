"""What people are told: which notices are wanted, what they say, and which must be issued or taken back."""
