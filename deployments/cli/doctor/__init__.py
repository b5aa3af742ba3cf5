"""The checks of `itp doctor`."""
