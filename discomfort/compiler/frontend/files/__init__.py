"""From a file, a text or bytes to the JSON of a workflow."""
