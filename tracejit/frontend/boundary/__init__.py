"""What passes between the caller and a graph: arguments, names from outside, results, changes."""
