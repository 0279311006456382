"""The command line, `discomfort-graph`: its commands, their options, and what they print."""
