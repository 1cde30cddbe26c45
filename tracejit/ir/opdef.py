"""`OpDef`: everything known about one op, in one place, and the registry of all of them.

Tensor methods, front-end names, fusion, lowering, printers, interpreter, tape and generic tests read the
definition and never mention an op by name. The structural vocabulary below is the only exception.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from functools import cache
from typing import Any, Literal

from tracejit.ir.core import Value
from tracejit.ir.types import Type
from tracejit.records import record

#: The only op names that transforms and code generation may tell ops by (`tests/test_architecture.py` checks it).
STRUCTURAL = frozenset(
    "if loop call fused custom gradient unspent intact leads rewritten stored tangent leaf const cast broadcast dim "
    "fetch index_update index_add add list_new list_push list_pop list_pop0 list_len list_get list_get0 list_set "
    "list_part list_set_part vread vwrite vadd fresh sync copy undef check check_eq broadcast_dim print pending "
    "report lay_out laid_product".split()
)


@record
class Pointwise:
    """Output element as a scalar expression.

    `fn(k, index, *operands, **attrs)`: `k` builds loop-IR expressions, `index` is the tuple of output
    index expressions, each operand is an accessor: call it with an index tuple to get its element; it has
    `.shape` (tuple of i64 expressions) and `.type`. Host-scalar operands are called with `()`.
    `own_index`: every tensor operand is read at the output's own index only.
    `view`: "strided" where the output is tensor operand 0 read at an affine index (transpose, slices, broadcast):
    readers may then be handed its pointer, an offset and strides; "flat" where it holds the same elements in
    the same C order (reshape), so that the buffer itself can be passed on.
    """

    fn: Callable[..., Any]
    own_index: bool = True
    view: Literal["", "strided", "flat"] = ""


@record
class Reduction:
    """A fold over `attrs["axes"]` (a sorted tuple) with a scalar op of `codegen/scalars.py`.

    `identity(dtype)` gives the Python number a fold starts from; `combine` is the scalar op's name;
    `element(k, x)` maps an operand element before folding.
    """

    identity: Callable[[Any], Any]
    combine: str
    element: Callable[..., Any] | None = None


@record
class Contraction:
    """A sum of products: `spec` in einsum letters, `...` for shared leading batch axes (`"...ij,...jk->...ik"`)."""

    spec: str


#: The matrix product over the last two axes.
MATRICES = Contraction("...ij,...jk->...ik")


@record
class Opaque:
    """Builds loop IR directly, or names a library call; never fused.

    `emit(e, op_results, *operands, **attrs)` is called with an emitter (`codegen/lowering/opaque.py: Emitter`);
    tensors are `Array`s, host scalars expressions. None: `codegen/lowering/entry.py` knows the op structurally.
    `updates`: result 0 takes over operand 0's buffer, which is changed in place (`ownership` sees to it).
    `strided`: operands may lie in any layout; else they are dense.
    `joins`: the result consists of its tensor operands side by side along `attrs["axis"]`; they may have been written
    there by who made them (`codegen/lowering/placement.py`).
    `nodes` makes ONNX nodes (see `ops/nodes.py`), for export; None means that there is no such form.
    """

    emit: Callable[..., Any] | None = None
    updates: bool = False
    strided: bool = False
    joins: bool = False
    nodes: Callable[..., Any] | None = None


Lowering = Pointwise | Reduction | Contraction | Opaque


@record
class Update:
    """A cotangent given as a change of the running one: `apply(running) -> running`. `at_places`: its places are
    numbers, and it does not matter by which names the sizes of the running one are known."""

    apply: Callable[[Any], Any]
    at_places: bool = False


@record
class Sample:
    """Operands for the generic tests: arrays or Python numbers (host scalars), grouped as the signature says."""

    operands: tuple[Any, ...]
    attrs: dict[str, Any] = field(default_factory=dict[str, Any])


@record(eq=False)
class OpDef:
    """One op.

    signature: operand names; a leading `*` marks a variadic group (several groups share the operands left
               over in equal parts, in order), e.g. `("x", "*shape")`.
    infer:     `(*grouped operand Values, **attrs) -> tuple of result types`; raises `ValueError`/`TypeError`. Where a
               result's dims name another result, it gives `Value`s of these types, from which the results are made.
    eager:     `(xp, *grouped operands, **attrs) -> array | tuple`; `xp` is numpy or cupy.
    vjp:       `(b, g, *grouped operands, out, **attrs) -> tuple`, one entry per signature name: a cotangent
               handle, None, an `Update`, or for a group a tuple of these. A string is the reason why there is none.
               Of an op with several results `g` and `out` are tuples; `g` has None where there is no cotangent.
    lower:     what fusion and code generation look at.
    samples:   `(rng) -> list[Sample]`; the generic tests run on them.
    names:     how Python may call it: `"function exp"`, `"method exp"`, `"numpy exp"`, `"operator __add__"`.
    effect:    "" pure; "fail" may raise, may be dropped when unread, may not be hoisted; "order" is a root of
               dead-code elimination and keeps its place among its like.
    commutative, neutral, idempotent: algebra for `canonicalize` (neutral is a right operand that changes nothing;
               idempotent: f(f(x)) is f(x), or f(x, x) is x). What is not exact in IEEE arithmetic is not applied.
    simplify:  `(b, *grouped operands, **attrs) -> handle | () | None`: a simpler value for the op's one result, `()`
               to drop an op without results, None to keep it. Operands are handles; `b.number_of(x)` is the number x
               is known to be everywhere (else None), `b.made_by(x, "name")` the op that made x if it has that name.
    free:      indices of results whose vectors are determined up to a factor of modulus 1 only; the vjp rule holds for
               what does not depend on it, and tests compare moduli.
    ranges:    `(r, *grouped operand Values)`: what the result is in exact arithmetic on whole numbers, or when a truth
               value holds; `r` is `transforms/numbers/rules.py: Rules`. Only asked of host scalars.
    unchecked: the op that computes the same where exact arithmetic does not leave the dtype's range.
    signs:     of an op that adds its operands up, 1 for each that is added and -1 for each that is subtracted.
    cheaper:   `(r, *operand Values)`: the name of an op that gives the same for these i64 host scalars at less cost,
               or "".
    raises, attempt: of an op that fails for some elements of an array, the message of its `LinAlgError`, and the op
               that gives whether it worked after the same results (`ops/attempts.py`).
    stands_for: the operand that the result is, where no derivative is asked for any more.
    factor:    a keyword that gives a factor of the last operand (PyTorch's `alpha`).
    cost:      about how many additions one element is worth, for choices between saving and computing again.
    """

    name: str
    signature: tuple[str, ...]
    infer: Callable[..., tuple[Type | Value, ...]]
    eager: Callable[..., Any] | None
    vjp: Callable[..., Any] | str
    lower: Lowering
    samples: Callable[..., list[Sample]] | None = None
    doc: str = ""
    names: tuple[str, ...] = ()
    effect: str = ""
    commutative: bool = False
    neutral: float | int | bool | None = None
    idempotent: bool = False
    simplify: Callable[..., Any] | None = None
    free: tuple[int, ...] = ()
    ranges: Callable[..., Any] | None = None
    unchecked: str = ""
    signs: tuple[int, ...] = ()
    cheaper: Callable[..., str] | None = None
    raises: str = ""
    attempt: str = ""
    stands_for: int | None = None
    factor: str = ""
    cost: int = 1

    @property
    def is_flat(self) -> bool:
        """Whether the slope is 0 wherever there is one, so that nothing behind the op varies with its operands."""
        return bool(getattr(self.vjp, "flat", False))

    def group(self, operands: Sequence[Any]) -> tuple[Any, ...]:
        """Flat operands arranged as the signature says: one entry per name, a tuple for a `*name`."""
        variadic = _variadic(self.signature)
        if not variadic:
            if len(operands) != len(self.signature):
                raise TypeError(f"{self.name} takes {len(self.signature)} operands, got {len(operands)}")
            return tuple(operands)
        spread = len(operands) - (len(self.signature) - variadic)
        if spread < 0 or spread % variadic:
            raise TypeError(f"{self.name}({', '.join(self.signature)}) cannot take {len(operands)} operands")
        width = spread // variadic
        grouped: list[Any] = []
        at = 0
        for name in self.signature:
            if name.startswith("*"):
                grouped.append(tuple(operands[at : at + width]))
                at += width
            else:
                grouped.append(operands[at])
                at += 1
        return tuple(grouped)

    def __repr__(self) -> str:
        return f"OpDef({self.name})"


@cache
def _variadic(signature: tuple[str, ...]) -> int:
    """How many names of a signature take any number of operands."""
    return sum(s.startswith("*") for s in signature)


class Registry:
    """All ops by name; closed after import of `tracejit.ops`."""

    def __init__(self) -> None:
        self._ops: dict[str, OpDef] = {}
        self._closed = False

    def register(self, defn: OpDef) -> OpDef:
        """Add a definition; the name must be new, and samples must be there unless the op is structural."""
        if self._closed:
            raise RuntimeError(f"the op registry is closed; cannot add {defn.name!r}")
        if defn.name in self._ops:
            raise ValueError(f"op {defn.name!r} is defined twice")
        if defn.samples is None and defn.name not in STRUCTURAL:
            raise ValueError(f"op {defn.name!r} has no samples")
        self._ops[defn.name] = defn
        return defn

    def close(self) -> None:
        """Refuse further definitions."""
        self._closed = True

    def __getitem__(self, name: str) -> OpDef:
        return self._ops[name]

    def __contains__(self, name: object) -> bool:
        return name in self._ops

    def __iter__(self) -> Iterator[OpDef]:
        return iter(self._ops.values())

    def __len__(self) -> int:
        return len(self._ops)


REGISTRY = Registry()


def flatten(grouped: Sequence[Any]) -> tuple[Any, ...]:
    """Grouped operands as one flat tuple."""
    flat: list[Any] = []
    for item in grouped:
        if isinstance(item, tuple | list):
            flat.extend(item)
        else:
            flat.append(item)
    return tuple(flat)
