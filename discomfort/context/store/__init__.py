"""What a context needs of the place where its values lie: a protocol, and the data that it speaks of."""
