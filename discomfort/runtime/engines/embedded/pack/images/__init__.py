"""Nodes for images and masks."""
