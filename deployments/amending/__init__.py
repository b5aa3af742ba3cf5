"""The changes that an amendment would bring to the subjects: found, in words, and on a page."""
