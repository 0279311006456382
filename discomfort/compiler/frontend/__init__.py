"""From what the user saved to a graph: UI workflows, API prompts, and media files that embed either."""
