"""Text as the editor's JavaScript makes it."""
