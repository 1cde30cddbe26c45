"""What lowering rules see of an operand: its sizes, and its element at an index, which here is an array of elements.

An index expression stands for an array too: index variable `a` of a result is 0, 1, ... along axis a. Where each
expression varies along one axis only, the array is picked from axis by axis; else element by element.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tracejit.codegen.loop_ir import Expr, Var
from tracejit.deploy.onnx.elements import Elements
from tracejit.deploy.onnx.model import Handle, Model
from tracejit.ir.types import I64


class Frame:
    """The index variables of a result and the shape that arrays of elements have."""

    def __init__(self, elements: Elements, sizes: Sequence[Expr]) -> None:
        self.elements = elements
        self.sizes = tuple(sizes)
        self.index = tuple(Var(f"index {axis} of {len(sizes)}", I64) for axis in range(len(sizes)))
        self.whole: set[Var] = set()  #: variables that stand for arrays of the full shape
        for axis, var in enumerate(self.index):
            elements.late[var] = lambda axis=axis: self._ramp(axis)

    @property
    def model(self) -> Model:
        return self.elements.model

    @property
    def rank(self) -> int:
        return len(self.sizes)

    def shape(self) -> Handle:
        """The sizes as a vector."""
        return self.model.vector([self.elements.size(n) for n in self.sizes])

    def is_whole(self, e: Expr) -> bool:
        """Whether an array of the full shape is among what an expression is made of."""
        return not self.whole.isdisjoint(_variables(e))

    def _ramp(self, axis: int) -> Handle:
        """0, 1, ... along an axis of the result."""
        m = self.model
        size = self.elements(self.sizes[axis])
        line = m.node("Range", m.constant(0, I64), size, m.constant(1, I64), rank=1)
        return m.unsqueeze(line, *(a for a in range(self.rank) if a != axis))

    def axes(self, e: Expr) -> frozenset[int]:
        """The axes of the result along which an expression varies."""
        found: set[int] = set()
        for var in _variables(e):
            if var in self.index:
                found.add(self.index.index(var))
            elif self.elements.bound[var].rank:
                found.update(range(self.rank))
        return frozenset(found)


class Operand:
    """An operand of an op whose result has the frame's index."""

    def __init__(self, frame: Frame, handle: Handle, type: Any, sizes: Sequence[Expr]) -> None:
        self.frame = frame
        self.handle = handle
        self.type = type
        self.shape = tuple(sizes)

    def __call__(self, index: Sequence[Expr]) -> Expr:
        """The elements at an index."""
        frame, index = self.frame, tuple(index)
        if not index:
            return frame.elements.bind(self.handle)
        if index == frame.index and self.shape == frame.sizes:
            found = frame.elements.bind(self.handle)
            frame.whole.add(found)
            return found
        axes = [frame.axes(e) for e in index]
        alone = [axis for found in axes for axis in found]
        if all(len(found) <= 1 for found in axes) and len(set(alone)) == len(alone):
            return frame.elements.bind(self._by_axes(index, [next(iter(found), None) for found in axes]))
        return frame.elements.bind(self._by_elements(index))

    def flat(self, at: Expr) -> Expr:
        """The elements with these C-order indices."""
        m, elements = self.frame.model, self.frame.elements
        return elements.bind(m.gather(m.flat(self.handle), elements(at)))

    def _by_axes(self, index: Sequence[Expr], axes: Sequence[int | None]) -> Handle:
        """Each axis picked from by a vector, or by a scalar, which removes it; then put where it varies."""
        m, elements, found = self.frame.model, self.frame.elements, self.handle
        for place in reversed(range(len(index))):
            axis = axes[place]
            if axis is None:
                found = m.gather(found, elements(index[place]), place)
            elif index[place] != self.frame.index[axis] or self.shape[place] != self.frame.sizes[axis]:
                found = m.gather(found, m.flat(elements(index[place])), place)
        varying = [axis for axis in axes if axis is not None]
        found = m.transpose(found, sorted(range(len(varying)), key=varying.__getitem__))
        return m.unsqueeze(found, *(a for a in range(self.frame.rank) if a not in varying))

    def _by_elements(self, index: Sequence[Expr]) -> Handle:
        frame, m = self.frame, self.frame.model
        places = [m.unsqueeze(m.expand(frame.elements(e), frame.shape(), frame.rank), frame.rank) for e in index]
        together = m.node("Concat", *places, axis=frame.rank)
        return m.node("GatherND", self.handle, together, rank=frame.rank)


def _variables(e: Any) -> set[Var]:
    """The variables of an expression."""
    if isinstance(e, Var):
        return {e}
    if isinstance(e, tuple):
        return {v for part in e for v in _variables(part)}
    if not hasattr(e, "__slots__") and not hasattr(e, "__dict__"):
        return set()
    parts = (getattr(e, name, None) for name in ("x", "cond", "a", "b", "value", "args"))
    return {v for part in parts if not isinstance(part, bool | int | float | str) for v in _variables(part)}
