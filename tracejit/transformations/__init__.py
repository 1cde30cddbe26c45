"""Functions made of functions: derivatives, Jacobians, batches.

Each takes a plain or scripted function and gives one that is compiled as a script is: its graph is made from the graph
of the function it is about, so that transformations nest in any order.
"""

from tracejit.transformations.batching import vmap
from tracejit.transformations.calls import hvp, jvp, vjp
from tracejit.transformations.checking import check
from tracejit.transformations.checkpointing import checkpoint
from tracejit.transformations.gradients import grad, value_and_grad
from tracejit.transformations.matrices import hessian, jacobian

__all__ = [
    "check",
    "checkpoint",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "value_and_grad",
    "vjp",
    "vmap",
]
