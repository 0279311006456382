"""The files that nodes read: where they lie, and fingerprints of their content for keys."""
