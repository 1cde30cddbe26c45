"""From a Python function to a graph."""

from tracejit.frontend.tensors import random  # its functions enter the table of `arrays`

__all__ = ["random"]
