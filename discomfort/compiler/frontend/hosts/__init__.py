"""Subgraph hosts, and the inner widgets that they show."""
