"""The storm: the real service under random faults, held against a ledger that the service does not keep.

Nothing of the service is imported to judge it. Clients state events and repeat each until it is answered.
What was answered, and what a receiver behind Apprise got, is kept here. When the faults are over, the two are
held against the study's database, read with plain drivers.
"""
