"""The tape: nodes, recording, and what a node keeps.

A `Node` is one recorded call. Its `edges` say where the cotangents of its inputs go: to another node's result,
to a leaf tensor, or nowhere. `OpNode` is an op of the registry; its derivative is `OpDef.vjp`, run on arrays, or on
recorded tensors when the derivative itself is to be differentiated. Compiled functions and `autograd.Function`
add their own kinds. Walking the tape is in `backward.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from tracejit.devices import module_of
from tracejit.eager.modes import MODE
from tracejit.eager.rules import RuleBuilder, spread, values_read
from tracejit.eager.tensor import Tensor, check_differentiable, raw, version_of, wrap
from tracejit.eager.writes import changed_since
from tracejit.errors import NotDifferentiable
from tracejit.ir.opdef import OpDef, Update, flatten

#: Where a cotangent goes: a node and which of its results, or a leaf tensor (and 0), or nowhere.
Edge: TypeAlias = "tuple[Node | Tensor, int] | None"

#: The number of the next node.
next_sequence = itertools.count(1).__next__


def edge_of(x: Any) -> Edge:
    """Where the cotangent of x goes."""
    if not isinstance(x, Tensor) or not x._requires_grad:
        return None
    node = x._grad_fn
    if node is not None:
        return (node, x._port)
    check_differentiable(x)
    return (x, 0)


class Node:
    """One recorded call with `ports` results. Subclasses give `pull`, and `zeros` if it gives `Update`s.

    `sequence` orders nodes by creation: every edge leads to a node made earlier. `hooks` are per result.
    """

    __slots__ = ("edges", "sequence", "ports", "hooks", "released", "__weakref__")

    def __init__(self, inputs: Iterable[Any], ports: int = 1) -> None:
        self.ports = ports
        self.edges: tuple[Edge, ...] = tuple([edge_of(x) for x in inputs])
        self.sequence = next_sequence()
        self.hooks: dict[int, dict[int, Callable[[Tensor], Any]]] | None = None
        self.released = False

    @property
    def name(self) -> str:
        """What `grad_fn` prints."""
        return type(self).__name__

    #: Whether None from `pull` means a derivative of 0 (of a `Function` or a script: that there is none).
    gives_zero = True

    def pull(self, cotangents: list[Any], create_graph: bool) -> Sequence[Any]:
        """Cotangents of the inputs, one per edge: an array (a recorded Tensor with `create_graph`), None, or an
        `Update`. `cotangents` has one entry per result, None where nothing arrived."""
        raise NotImplementedError

    def led_from(self, port: int) -> Sequence[Edge]:
        """The edges to the inputs that a result depends on, also when the node is released."""
        return self.edges

    def zeros(self, index: int) -> Any:
        """A zero array like input `index`."""
        raise NotImplementedError

    def input_dtype(self, index: int) -> np.dtype[Any] | None:
        """The dtype that the cotangent of input `index` must have; None to take it as it is."""
        return None

    def kept_arrays(self) -> Sequence[Any]:
        """Arrays that the node or its user holds: a cotangent that is one of them is not the walk's to change."""
        return ()

    def release(self) -> None:
        """Forget what was kept for the derivative."""
        self.released = True

    def overwritten(self, array: Any) -> None:
        """Note that a result's memory was written."""

    def check_alive(self) -> None:
        """Refuse a second walk over released nodes."""
        if self.released:
            raise RuntimeError(
                "backward through the graph a second time: what it needs has been freed; "
                "call the first backward with retain_graph=True"
            )

    def __repr__(self) -> str:
        return f"<{self.name}>"


def attach(result: Tensor, node: Node, port: int = 0) -> Tensor:
    """Make `result` the node's result number `port`."""
    result._grad_fn = node
    result._port = port
    result._requires_grad = True
    return result


def is_recording(inputs: Iterable[Any]) -> bool:
    """Whether a call with these inputs goes on the tape."""
    return MODE.enabled and any(isinstance(x, Tensor) and x._requires_grad for x in inputs)


class OpNode(Node):
    """A recorded op: its operands as the signature groups them, attributes, and the arrays it gave."""

    __slots__ = ("defn", "operands", "flat", "attrs", "outs", "versions", "stale_result")

    operands: Sequence[Any]
    flat: tuple[Any, ...]
    outs: tuple[Any, ...]

    def __init__(self, defn: OpDef, operands: Sequence[Any], attrs: dict[str, Any], outs: tuple[Any, ...]) -> None:
        self.defn = defn
        self.operands = operands
        self.flat = flatten(operands)
        super().__init__(self.flat, len(outs))
        self.attrs = attrs
        self.outs = outs
        self.versions = tuple([version_of(x) if isinstance(x, Tensor) else 0 for x in self.flat])
        self.stale_result = False

    @property
    def name(self) -> str:
        return f"{self.defn.name} node"

    def zeros(self, index: int) -> Any:
        array = raw(self.flat[index])
        return module_of(array).zeros(array.shape, array.dtype)

    def input_dtype(self, index: int) -> np.dtype[Any] | None:
        return raw(self.flat[index]).dtype

    def kept_arrays(self) -> Sequence[Any]:
        return [*[raw(x) for x in self.flat if hasattr(x, "dtype")], *self.outs]

    def release(self) -> None:
        self.released = True
        self.operands = self.flat = self.outs = ()

    def overwritten(self, array: Any) -> None:
        if any(out is array for out in self.outs):
            self.stale_result = True

    def pull(self, cotangents: list[Any], create_graph: bool) -> Sequence[Any]:
        defn = self.defn
        if isinstance(defn.vjp, str):
            raise NotDifferentiable(defn.name, defn.vjp)
        self._check_unchanged(defn.vjp)
        b, operands, outs = self._differentiable_view() if create_graph else self._plain_view()
        single = len(outs) == 1
        g = cotangents[0] if single else tuple(cotangents)
        entries = spread(defn.vjp(b, g, *operands, outs[0] if single else outs, **self.attrs), self.operands)
        return [_bound(b, entry) for entry in entries]

    def _plain_view(self) -> tuple[Any, Sequence[Any], tuple[Any, ...]]:
        operands = [tuple(map(raw, x)) if isinstance(x, tuple | list) else raw(x) for x in self.operands]
        wanted = sum(edge is not None for edge in self.edges)
        tensors = sum(isinstance(x, Tensor) for x in self.flat)
        return RuleBuilder(module_of(self.outs[0]), lazy=wanted < tensors), operands, self.outs

    def _differentiable_view(self) -> tuple[Any, Sequence[Any], tuple[Any, ...]]:
        """Operands and results as recorded tensors with the history they had when the op ran."""
        from tracejit.eager.apply import TensorBuilder

        handles = iter([_with_history(x, edge) for x, edge in zip(self.flat, self.edges, strict=True)])
        operands = [
            tuple(next(handles) for _ in x) if isinstance(x, tuple | list) else next(handles) for x in self.operands
        ]
        outs = tuple(attach(wrap(out), self, port) for port, out in enumerate(self.outs))
        return TensorBuilder(module_of(self.outs[0])), operands, outs

    def _check_unchanged(self, rule: Callable[..., Any]) -> None:
        """Refuse when a value that the rule reads was written since the op ran."""
        versions = self.versions
        stale = [i for i, x in enumerate(self.flat) if isinstance(x, Tensor) and changed_since(x, versions[i])]
        if not stale and not self.stale_result:
            return
        reads, reads_result = values_read(self, rule)
        if (self.stale_result and reads_result) or any(i in reads for i in stale):
            raise RuntimeError(
                f"a tensor that the derivative of {self.defn.name} needs was changed in place after {self.defn.name} "
                "had used it; work on a clone(), or change it before"
            )


def _bound(b: Any, entry: Any) -> Any:
    """An update that changes the running cotangent in place, where the builder can."""
    if isinstance(entry, Update) and isinstance(b, RuleBuilder):
        return Update(lambda running: b.update(entry, running))
    return entry


def _with_history(x: Any, edge: Edge) -> Any:
    """The operand as it stood on the tape when it was used."""
    if not isinstance(x, Tensor):
        return x
    if edge is None:
        return x.detach() if x._requires_grad else x
    source, port = edge
    if source is x or (source is x._grad_fn and port == x._port):
        return x
    return attach(wrap(x._data), source, port) if isinstance(source, Node) else source
