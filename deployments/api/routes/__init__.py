"""The routes for programs, one module a resource."""
