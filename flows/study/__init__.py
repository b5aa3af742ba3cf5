"""What every flow and every door needs of the running study."""
