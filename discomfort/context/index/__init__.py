"""The index of a context: a journal of records, and the state that they add up to."""
