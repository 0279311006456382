"""A plan and a context become a run: values bound, checked, and made into prompts."""
