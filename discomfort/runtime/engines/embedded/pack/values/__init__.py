"""Nodes for text, numbers and logic."""
