"""What `fuse` asks about ops before it groups them, and does with its groups."""
