"""What node classes may import."""
