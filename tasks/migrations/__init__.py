"""The database's migrations, run by `tasks.migrate`."""
