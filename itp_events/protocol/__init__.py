"""The protocol as data: the schedule of activities and its criteria, read from a YAML file and checked."""
