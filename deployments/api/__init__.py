"""The HTTP API: it takes events, gives plans and calendars, shows pages to people, and reports its health."""
