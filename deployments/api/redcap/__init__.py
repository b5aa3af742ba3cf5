"""REDCap as a door: its Data Entry Trigger makes the service fetch the record and turn it into events."""
