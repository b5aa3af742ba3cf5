"""A restore drill under load: a backup while events arrive, restored into the other kind of database.

`python -m tests.drill --count 1000 --from sqlite` says what was compared. A small one is in the suite.
"""
