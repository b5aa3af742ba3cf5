"""The routes for programs, one module for each resource."""
