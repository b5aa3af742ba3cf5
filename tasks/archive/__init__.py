"""The study as one file that is kept for decades: written from a database, checked, and restored into one.

`tasks.archive.form` says how the file is built.
"""
