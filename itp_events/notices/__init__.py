"""The notices to people: those that are wanted, their contents, and those to be issued or taken back.

This package puts nothing into words and sends nothing.
"""
