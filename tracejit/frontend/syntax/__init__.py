"""What a function says: its source, its syntax tree, and that without jumps."""
