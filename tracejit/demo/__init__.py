"""The demonstration: `python -m tracejit demo`, or `make demo`."""
