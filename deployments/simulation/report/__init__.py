"""The report of a simulated study: one HTML file that stands alone."""
