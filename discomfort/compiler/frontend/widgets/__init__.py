"""The widgets of node classes, and the values that a workflow saved for them."""
