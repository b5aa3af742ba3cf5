"""The commands of `itp`, one module each."""
