"""The notices to people: which are wanted, their contents, and which must be issued or taken back.

This package puts nothing into words and sends nothing.
"""
