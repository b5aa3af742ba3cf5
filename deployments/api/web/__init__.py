"""The web application of the people's day: server-rendered pages with plain forms, at the API's address."""
