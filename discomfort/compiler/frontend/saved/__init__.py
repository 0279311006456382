"""Workflows as they were saved, before anything is resolved."""
