"""The nodes of a prompt: their literals and links, how one is called, and the results that are kept."""
