"""Measurements, never assertions: `make bench`. One module per family of cases."""
