"""The rest of a block cannot be reached: a statement before it always raises.

A mistake that is known while compiling (two shapes that never fit) is Python's error at that line, raised when the
line is reached, with the effects before it kept. Lowering emits the raise and stops with this signal; what follows
in the block has no meaning and no types.
"""


class Unreachable(Exception):
    """Stops the lowering of a block after an unconditional raise."""
