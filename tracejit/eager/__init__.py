"""Eager execution: `Tensor`, its tape, and the functions that run at once."""
