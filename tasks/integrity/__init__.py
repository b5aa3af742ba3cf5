"""Whether the records are what was recorded: rows are registered, chains sealed, and all of it verified.

`facts` lists the tables that hold facts, and why the others hold none.
"""
