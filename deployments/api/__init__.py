"""The HTTP API: events in, plans and calendars out, pages for people, and what watches the service."""
