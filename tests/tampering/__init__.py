"""Random changes of a study behind the service's back: each must be found, and the row named.

`python -m tests.tampering --count 1000 --db sqlite` changes every column that holds facts, then makes so many
random changes, each on the same study as it was, and says how many were found.
"""
