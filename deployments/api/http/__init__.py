"""What every route shares: authentication, bodies, errors, schemas, limits of connections."""
