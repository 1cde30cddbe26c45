"""A call whose specialisation is chosen: its inputs, the graph's results, what it returns and sets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tracejit.eager.tensor import Tensor, bump_version
from tracejit.frontend.boundary.leaves import Change
from tracejit.frontend.boundary.results import LeftGradient
from tracejit.frontend.boundary.signature import Access
from tracejit.ops.effects import REPORTED
from tracejit.scripted.node import Spent, call_recorded, is_recorded, raw_value
from tracejit.scripted.overlap import require_single
from tracejit.scripted.results import ResultBuilder, set_gradients, set_parts

if TYPE_CHECKING:
    from tracejit.scripted.function import Specialisation


def run(found: Specialisation, names: Sequence[str], arguments: Sequence[Any]) -> Any:
    """Run a specialisation on the arguments of parameters `names`, which it fits, and make the call's result. Arrays
    that it writes share no memory with others."""
    lowered = found.lowered
    inputs = inputs_of(found, arguments)
    require_single(lowered, arguments, names)
    REPORTED.clear()  # a graph that was run by itself leaves its reports
    try:
        outputs = _outputs(found, inputs)
    except Exception:
        _leave(found, arguments, inputs)
        raise
    finally:
        REPORTED.clear()
    spent = Spent(lowered.graph, lowered.histories)
    node = spent.node()
    outputs = spent.in_results(node, outputs)
    builder = _builder(found, arguments, inputs, outputs, lowered.gradients)
    spent.in_arguments(node, inputs, outputs)
    return builder.finish(lowered.result, lowered.changes)


def _leave(found: Specialisation, arguments: Sequence[Any], inputs: Sequence[Any]) -> None:
    """Set what a call that ended in an error has changed, as it was reported: of each part, what came last."""
    made: list[tuple[Any, Change, Any]] = []
    seen: set[tuple[Access, str, Any]] = set()
    for plan, values in REPORTED.notes:
        left = found.lowered.reports[plan]
        builder = _builder(found, arguments, inputs, left.values(values), left.gradients)
        parts = [(c.access, c.kind, c.key) for c in left.changes]
        made += builder.made([c for c, part in zip(left.changes, parts, strict=True) if part not in seen])
        seen.update(parts)
    set_parts(made)


def inputs_of(found: Specialisation, arguments: Sequence[Any]) -> list[Any]:
    """What a call passes to the graph."""
    return [i.access.fetch(arguments) for i in found.lowered.inputs]


def _outputs(found: Specialisation, inputs: Sequence[Any]) -> list[Any]:
    """The graph's results for these inputs."""
    lowered = found.lowered
    function = found.with_gradients(found.wanted) if found.wanted and not lowered.gradients else None
    if function is not None and is_recorded(function, inputs):
        return call_recorded(function, list(inputs))
    try:
        return found.compiled([raw_value(x) for x in inputs])
    finally:
        for i in lowered.graph.inout:
            if isinstance(inputs[i], Tensor):
                bump_version(inputs[i])


def _builder(
    found: Specialisation,
    arguments: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    gradients: Sequence[LeftGradient],
) -> ResultBuilder:
    """Set `.grad` as the script did, by results of its graph; gives what makes and sets all else."""
    set_gradients(found.lowered, gradients, dict(enumerate(inputs)), outputs)
    return ResultBuilder(found.lowered, arguments, outputs, found.tensors)
