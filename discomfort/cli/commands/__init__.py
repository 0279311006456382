"""The commands of `discomfort-graph`, one file each; what they need is imported when they run."""
