"""Graph -> Program (loop IR) -> target text."""
