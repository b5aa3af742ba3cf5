"""The database's migrations, run by `tasks.database.migrate`."""
