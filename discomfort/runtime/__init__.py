"""Runs plans: bind, execute, iterate, sweep, on any engine."""
