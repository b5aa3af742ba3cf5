"""The pages for people, their words and their templates."""
