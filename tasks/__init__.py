"""The effects: the study's database and the notices that leave it, as plain functions."""
