"""Walking the tape: `backward` and `grad`.

Nodes are visited from the newest to the oldest, so that a node is pulled only when every cotangent of its results
has arrived. Without `create_graph` cotangents are arrays and running sums are updated in place where the walk owns
them; with it they are recorded tensors.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tracejit.devices import is_writeable, module_of
from tracejit.eager.alias import storage
from tracejit.eager.apply import TENSORS, is_inexact
from tracejit.eager.modes import enable_grad, no_grad
from tracejit.eager.rules import Deferred
from tracejit.eager.tape import Edge, Node, edge_of
from tracejit.eager.tensor import Tensor, raw, wrap
from tracejit.ir.opdef import Update


class _Sum:
    """A cotangent that is still being added up. `owned`: the array is ours to change."""

    __slots__ = ("value", "owned")

    def __init__(self, value: Any, owned: bool) -> None:
        self.value = value
        self.owned = owned


class Walk:
    """One walk over the tape. `captured` maps the edges of asked-for inputs to their cotangents."""

    def __init__(self, create_graph: bool, retain_graph: bool, wanted: Sequence[Edge] | None) -> None:
        self.create_graph = create_graph
        self.retain_graph = retain_graph
        self.wanted = None if wanted is None else set(wanted)
        self.captured: dict[Edge, Any] = {}
        self.sums: dict[Edge, _Sum] = {}
        self.heap: list[tuple[int, Node]] = []
        self.queued: set[Node] = set()
        self.useful: set[Node] | None = None
        self.cut: list[Edge] = []  #: edges along which the derivative is 0

    def run(self, roots: Sequence[tuple[Edge, Any]]) -> None:
        """Send the seeds and pull every node they reach."""
        if self.wanted is not None:
            self.useful = _leading_to(self.wanted, (edge for edge, _ in roots))
        for edge, seed in roots:
            self._send(edge, seed, None)
        with enable_grad() if self.create_graph else no_grad():
            while self.heap:
                _, node = heapq.heappop(self.heap)
                self._visit(node)
            self._finish_leaves()

    def _visit(self, node: Node) -> None:
        node.check_alive()
        cotangents = [self._collect(node, port) for port in range(node.ports)]
        if self.useful is not None and not any(self._goes_on(edge) for edge in node.edges):
            return
        entries = node.pull(cotangents, self.create_graph)
        kept = [raw(c) for c in cotangents]
        for index, (edge, entry) in enumerate(zip(node.edges, entries, strict=True)):
            if edge is None or not self._goes_on(edge):
                continue
            if entry is None:
                if node.gives_zero:
                    self.cut.append(edge)
                continue
            if isinstance(entry, Update):
                self._update(edge, entry, node, index)
            else:
                entry = entry.compute() if isinstance(entry, Deferred) else entry
                self._send(edge, entry, (node, index), fresh=_is_fresh(entry, kept, entries, node))
        if not self.retain_graph:
            node.release()

    def _collect(self, node: Node, port: int) -> Any:
        """The whole cotangent of one result, after its hooks; kept if asked for."""
        found = self.sums.pop((node, port), None)
        if found is None:
            return None
        value = _after_hooks(found.value, (node.hooks or {}).get(port))
        if self.wanted is not None and (node, port) in self.wanted:
            self.captured[node, port] = value
        return value

    def _goes_on(self, edge: Edge) -> bool:
        if edge is None or self.useful is None or self.wanted is None:
            return edge is not None
        return edge in self.wanted or edge[0] in self.useful

    def _send(self, edge: Edge, value: Any, origin: tuple[Node, int] | None, fresh: bool = False) -> None:
        """Add a cotangent to the sum at the end of an edge."""
        assert edge is not None
        if not self.create_graph:
            value = raw(value)
            if origin is not None:
                value = _fitting(value, origin)
        elif not isinstance(value, Tensor):
            value = wrap(value)
        found = self.sums.get(edge)
        if found is None:
            self.sums[edge] = _Sum(value, fresh)
            self._queue(edge)
        elif self.create_graph:
            found.value = TENSORS.add(found.value, value)
        elif found.owned:
            found.value += value
        else:
            found.value, found.owned = _as_array(found.value + value), True

    def _update(self, edge: Edge, update: Update, node: Node, index: int) -> None:
        """Apply an update to the sum at the end of an edge. One that is not ours is copied first, and one that does not
        lie in C order, of which updates of views count the elements."""
        found = self.sums.get(edge)
        if found is None:
            zeros = node.zeros(index)
            found = self.sums[edge] = _Sum(wrap(zeros) if self.create_graph else zeros, True)
            self._queue(edge)
        if self.create_graph:
            found.value = update.apply(found.value)
            return
        is_ready = found.owned and found.value.flags.c_contiguous
        running = found.value if is_ready else found.value.copy(order="C")
        found.value, found.owned = update.apply(running), True

    def _queue(self, edge: Edge) -> None:
        assert edge is not None
        target = edge[0]
        if isinstance(target, Node) and target not in self.queued:
            self.queued.add(target)
            heapq.heappush(self.heap, (-target.sequence, target))

    def _finish_leaves(self) -> None:
        """Hooks of the leaves; then hand over what was asked for, or accumulate."""
        for edge, found in list(self.sums.items()):
            assert edge is not None
            leaf = edge[0]
            assert isinstance(leaf, Tensor)
            value = _after_hooks(found.value, leaf._hooks)
            if self.wanted is None:
                _accumulate(leaf, value, found.owned and value is found.value, self.create_graph)
            elif edge in self.wanted:
                self.captured[edge] = value
        self._finish_cut()

    def _finish_cut(self) -> None:
        """What is reached along edges of derivative 0 only has gradient 0."""
        seen: set[Edge] = set()
        while self.cut:
            edge = self.cut.pop()
            if edge is None or edge in seen:
                continue
            seen.add(edge)
            if self.wanted is not None and edge in self.wanted:
                self.captured.setdefault(edge, None)
            target = edge[0]
            if isinstance(target, Node):
                self.cut.extend(target.led_from(edge[1]))
            elif self.wanted is None and target._grad is None:
                target._grad = wrap(module_of(target._data).zeros_like(target._data))


def _leading_to(wanted: Iterable[Edge], roots: Iterable[Edge]) -> set[Node]:
    """The nodes from which a wanted edge can be reached."""
    targets = set(wanted)
    useful: set[Node] = set()
    seen: set[Node] = set()
    order: list[Node] = []
    stack = [edge[0] for edge in roots if edge is not None and isinstance(edge[0], Node)]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        order.append(node)
        stack.extend([edge[0] for edge in node.edges if edge is not None and isinstance(edge[0], Node)])
    for node in sorted(order, key=lambda n: n.sequence):
        if any(edge is not None and (edge in targets or edge[0] in useful) for edge in node.edges):
            useful.add(node)
    return useful


def leaves_behind(outputs: Iterable[Tensor]) -> set[int]:
    """The leaves to which gradients of these tensors go, by their ids."""
    seen: set[int] = set()
    stack: list[Any] = [x._grad_fn for x in outputs]
    while stack:
        target = stack.pop()
        if target is None or id(target) in seen:
            continue
        seen.add(id(target))
        if isinstance(target, Node):
            stack.extend([edge[0] for edge in target.edges if edge is not None])
    return seen


def _is_fresh(entry: Any, cotangents: Sequence[Any], entries: Sequence[Any], node: Node) -> bool:
    """Whether a cotangent is an array that nobody else holds, so that the walk may change it."""
    if type(entry) is not np.ndarray or entry.base is not None or not entry.flags.c_contiguous:
        return False
    others = [*cotangents, *node.kept_arrays()]
    return sum(e is entry for e in entries) <= 1 and not any(
        o is not None and (o is entry or storage(o) is entry) for o in others
    )


def _fitting(value: Any, origin: tuple[Node, int]) -> Any:
    """A cotangent as an array of its input's dtype."""
    node, index = origin
    dtype = node.input_dtype(index)
    if type(value) is np.ndarray and (dtype is None or value.dtype == dtype):
        return value
    value = _as_array(value)
    if dtype is None or value.dtype == dtype:
        return value
    return (value.real if value.dtype.kind == "c" and dtype.kind != "c" else value).astype(dtype)


def _as_array(x: Any) -> Any:
    return np.asarray(x) if isinstance(x, np.generic | int | float | complex) else x


def _after_hooks(value: Any, hooks: dict[int, Callable[[Tensor], Any]] | None) -> Any:
    """The cotangent after its tensor's hooks, each of which may replace it."""
    if not hooks:
        return value
    tensor = value if isinstance(value, Tensor) else wrap(value)
    for hook in list(hooks.values()):
        replaced = hook(tensor)
        if replaced is None:
            continue
        if not isinstance(replaced, Tensor) or replaced.shape != tensor.shape:
            raise RuntimeError(f"a gradient hook must give None or a Tensor of shape {tensor.shape}")
        tensor = replaced
    return tensor if isinstance(value, Tensor) else tensor._data


def _accumulate(leaf: Tensor, value: Any, owned: bool, create_graph: bool) -> None:
    """Add a leaf's cotangent to its `.grad`."""
    grad = leaf._grad
    if create_graph:
        leaf._grad = value if grad is None else TENSORS.add(grad, value)
    elif grad is None:
        leaf._grad = wrap(value if owned else value.copy(order="C"))
    elif grad._requires_grad or not is_writeable(grad._data):
        leaf._grad = wrap(grad._data + value)
    else:
        grad._data[...] += value
        grad._version += 1


COMPLEX_LOSS = "backward of a complex number needs a gradient argument: take its real part or abs, or give one"


def seed_for(output: Tensor, gradient: Any) -> Any:
    """The cotangent an output starts from: ones for a scalar, else the given one."""
    if gradient is None:
        if output.size != 1:
            raise RuntimeError(
                f"backward of a tensor of shape {output.shape} needs a gradient argument; only scalars can do without"
            )
        if output.dtype.kind == "c":
            raise RuntimeError(COMPLEX_LOSS)
        return wrap(module_of(output._data).ones_like(output._data))
    seed = gradient if isinstance(gradient, Tensor) else wrap(module_of(output._data).asarray(gradient))
    if seed.shape != output.shape:
        raise RuntimeError(f"a gradient of shape {seed.shape} does not fit an output of shape {output.shape}")
    return seed if seed.dtype == output.dtype else wrap(seed._data.astype(output.dtype))


def _roots(outputs: Sequence[Tensor], gradients: Sequence[Any], create_graph: bool) -> list[tuple[Edge, Any]]:
    roots: list[tuple[Edge, Any]] = []
    for output, gradient in zip(outputs, gradients, strict=True):
        if not output._requires_grad:
            raise RuntimeError(
                "this tensor does not require gradients and has no grad_fn"
                + ("" if is_inexact(output) else f" (its dtype is {output.dtype})")
            )
        seed = seed_for(output, gradient)
        roots.append((edge_of(output), seed if create_graph else seed._data))
    return roots


def backward(
    outputs: Sequence[Tensor],
    gradients: Sequence[Any],
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Sequence[Tensor] | None = None,
) -> None:
    """Accumulate the derivatives of the outputs into the `.grad` of the leaves they depend on, or of these inputs
    alone."""
    if inputs is not None:
        if not inputs:
            raise RuntimeError("backward: there is no tensor among the inputs")
        for x, found in zip(inputs, grad(outputs, inputs, gradients, retain_graph, create_graph), strict=True):
            if found is not None:
                _accumulate(x, found if create_graph else found._data, False, create_graph)
        return
    retain = create_graph if retain_graph is None else retain_graph
    Walk(create_graph, retain, None).run(_roots(outputs, gradients, create_graph))


def grad(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    gradients: Sequence[Any],
    retain_graph: bool | None = None,
    create_graph: bool = False,
) -> list[Tensor | None]:
    """The cotangents of the inputs; None for an input that the outputs do not depend on."""
    for x in inputs:
        if not x._requires_grad:
            raise RuntimeError("one of the inputs does not require gradients")
    retain = create_graph if retain_graph is None else retain_graph
    edges = [edge_of(x) for x in inputs]
    walk = Walk(create_graph, retain, edges)
    walk.run(_roots(outputs, gradients, create_graph))
    return [_captured(walk, edge, x) for edge, x in zip(edges, inputs, strict=True)]


def _captured(walk: Walk, edge: Edge, x: Tensor) -> Tensor | None:
    """The cotangent of an input; zeros where it was reached with derivative 0, None where it was not reached."""
    found = walk.captured.get(edge)
    if found is None:
        return wrap(module_of(x._data).zeros_like(x._data)) if edge in walk.captured else None
    return found if isinstance(found, Tensor) else wrap(found)
