"""Tables, sentences and drawings that commands print."""
