"""What every HTTP server of the service shares: connections, origins, and how it says no."""
