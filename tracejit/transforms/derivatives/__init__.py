"""Derivatives of graphs as graphs, and what `backward()` asks of them."""
