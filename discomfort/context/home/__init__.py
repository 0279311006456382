"""The folders of contexts: who owns them, and what the operating system provides."""
