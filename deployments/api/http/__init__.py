"""The parts that every route shares: authentication, request bodies, errors, schemas, the server."""
