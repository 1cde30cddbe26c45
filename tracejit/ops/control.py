"""Constants, control flow, calls and derivative markers.

The blocks of these ops are run by the interpreter and read by transforms and code generation by name: they are
the structural vocabulary. Types of results that do not follow from the operands are stated by the builder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tracejit.errors import DTypeMismatch
from tracejit.ir.builder import Builder, Handle, stated
from tracejit.ir.core import Block, Op, Value
from tracejit.ir.opdef import Opaque, Sample
from tracejit.ir.types import BOOL, BY_NAME, ScalarType, TensorType, Type
from tracejit.ops.define import dtype_name, op


def _const_eager(xp: Any, *, value: Any, type: Type) -> Any:
    assert isinstance(type, ScalarType | TensorType)
    array = xp.asarray(value).astype(dtype_name(type.dtype))
    return array[()] if isinstance(type, ScalarType) else array


def _const_infer(*, value: Any, type: Type) -> tuple[Type, ...]:
    if not isinstance(type, ScalarType) and not (isinstance(type, TensorType) and type.shape == ()):
        raise DTypeMismatch(f"a constant is a scalar or a rank-0 tensor, not {type}")
    return (type,)


const = op(
    "const",
    (),
    doc="A number written in the program.",
    infer=_const_infer,
    eager=_const_eager,
    vjp=lambda b, g, out, *, value, type: (),
    lower=Opaque(),
    samples=lambda rng: [
        Sample((), {"value": value, "type": kind(dtype)})
        for value, name in ((2.5, "f64"), (2.5, "f32"), (7, "i64"), (-7, "i8"), (True, "bool"), (float("inf"), "f64"))
        for kind in (ScalarType, lambda d: TensorType(d, ()))
        for dtype in (BY_NAME[name],)
    ],
)


@stated
def _stated(*_operands: Any, **_attrs: Any) -> tuple[Type, ...]:
    raise TypeError("the result types of this op are stated where it is made")


def branch(b: Any, cond: Any, then: Callable[..., Any], orelse: Callable[..., Any], operands: Sequence[Any]) -> Any:
    """`then(inner, *operands)` or `orelse(inner, *operands)`, whichever the host truth value `cond` chooses: an `if`
    op with one result for a `Builder`, the call itself for an `EagerBuilder`. Operands are handles or sizes."""
    if not isinstance(cond, Handle):
        return (then if cond else orelse)(b, *operands)
    blocks: list[Block] = []
    result: Handle | None = None
    for label, fn in (("then", then), ("else", orelse)):
        inner = b.nested()
        result = fn(inner, *(inner.wrap(x.value) if isinstance(x, Handle) else x for x in operands))
        assert isinstance(result, Handle)
        blocks.append(inner.block((), (result.value,), label))
    assert result is not None
    return b.wrap(b.emit("if", (cond.value,), blocks=blocks, types=(result.type,), names=(result.value.name,))[0])


_BLOCKS = "its derivative is derived from its blocks"


def _structural(
    name: str, signature: Sequence[str], doc: str, infer: Callable[..., Any] = _stated, **fields: Any
) -> None:
    op(name, signature, doc=doc, infer=infer, eager=None, vjp=_BLOCKS, lower=Opaque(), **fields)


_structural(
    "if",
    ("cond",),
    "Blocks `then` and `else` without parameters; the results are those of the one that `cond` chooses.",
)
_structural(
    "loop",
    ("limit", "go", "*init"),
    "Block `body(i, *carried)` gives `go_next, *carried_next`; runs while `go` holds and `i < limit`, i = 0, 1, ...",
)
_structural(
    "call",
    ("*operands",),
    "Runs the graph in the attribute `callee`. It takes over the operands that are `inout` parameters of that graph; "
    "the last results are their final versions. A call is an effect: it may print, raise, or go too deep.",
    effect="order",
)
_structural(
    "custom",
    ("*operands",),
    "A function with a derivative of its own, `name` for people. Blocks: `primal(*operands)` gives the results; "
    "`forward(*operands)` gives the results and then the residuals; `backward(*residuals, *cotangents)`, of the "
    "inexact results, gives the cotangents of the inexact operands. No transform looks through it for differentiation.",
)
_structural("fused", (), "Block `body`, which captures its inputs: what becomes one kernel.")
_structural(
    "gradient",
    ("y", "seed", "*xs"),
    "The derivative of y by each of xs, for the cotangent `seed`; expanded by the transform `expand-gradient`. With "
    "`more`, so many further ys, and then as many seeds, stand before the xs, which get the sum over all ys. With "
    "`groups`, so many of the xs each are versions of one array, which has the sum. `site` numbers `backward()`s. "
    "`retain`: what it goes through is not freed. `whole`: the xs are all leaves that y leads to. `rare`: it is on a "
    "path that raises. `unused` says for each of xs why there is no derivative if y does not depend on it; without it "
    "such a derivative is zero.",
    infer=lambda y, seed, xs, more=0, groups=(), site=-1, retain=False, whole=False, rare=False, unused=(): tuple(
        _cotangent_type(x[0]) for x in grouped(xs[2 * more :], groups)
    ),
)
_structural(
    "unspent",
    ("*spent",),
    "Whether nothing that the `gradient` of a `site` goes through was gone through before by one that does not retain "
    "it. `expand-gradient` adds the operands that tell of what was, and removes it.",
    infer=lambda spent, site: (ScalarType(BOOL),),
)
_structural(
    "intact",
    ("*kept",),
    "Whether what the `gradient` of a `site` needs was not changed in place since: all of `kept`, which are added by "
    "`expand-gradient`, hold then.",
    infer=lambda kept, site: (ScalarType(BOOL),),
)
_structural(
    "leads",
    ("y", "*xs"),
    "Whether y was made of one of the xs, versions of one array, on the path that was taken: whether `backward()` of y "
    "gives that array a gradient. `expand-gradient` tells.",
    infer=lambda y, xs: (ScalarType(BOOL),),
)
_structural(
    "tangent",
    ("y", "*xs", "*ts"),
    "The derivative of y along the tangents ts of the values xs; expanded by the transform `expand-gradient`.",
    infer=lambda y, xs, ts: (_cotangent_type(y),),
)


def _rewritten_infer(new: Value, old: Value) -> tuple[Type, ...]:
    return (new.type,)


_structural(
    "rewritten",
    ("new", "old"),
    "new, which takes the place of old in memory: a derivative that needs old afterwards is an error. A mark that "
    "`expand-gradient` removes.",
    infer=_rewritten_infer,
    stands_for=0,
)


_structural(
    "stored",
    ("content", "place"),
    "content, which lies from a place on in the memory of arrays that lists hold: read there, or with `new`, put there "
    "as an array of its own. What is written there later makes a derivative that needs it an error. A mark that "
    "`expand-gradient` removes.",
    infer=lambda content, place, new=False: (content.type,),
    stands_for=0,
)


def emit_gradient(
    b: Builder,
    ys: Sequence[Value],
    seeds: Sequence[Value],
    xs: Sequence[Value],
    attrs: Mapping[str, Any] = MappingProxyType({}),
    names: Sequence[str] = (),
) -> tuple[Value, ...]:
    """The derivatives of the ys, each for its seed, by the xs."""
    more = {"more": len(ys) - 1} if len(ys) > 1 else {}
    return b.emit("gradient", (ys[0], seeds[0], *ys[1:], *seeds[1:], *xs), {**more, **attrs}, names=names)


def gradient_parts(op: Op) -> tuple[Sequence[Value], Sequence[Value], Sequence[Value]]:
    """The ys, seeds and xs of a `gradient`."""
    y, seed, rest = op.defn.group(op.operands)
    more = op.attrs.get("more", 0)
    return (y, *rest[:more]), (seed, *rest[more : 2 * more]), rest[2 * more :]


def grouped(xs: Sequence[Any], groups: Sequence[int]) -> list[tuple[Any, ...]]:
    """The xs of a `gradient` by groups; each is one of its own where there are none."""
    found: list[tuple[Any, ...]] = []
    for size in groups or (1,) * len(xs):
        found.append(tuple(xs[:size]))
        xs = xs[size:]
    return found


def _cotangent_type(x: Value) -> Type:
    if isinstance(x.type, ScalarType | TensorType) and x.type.dtype.is_inexact:
        return x.type
    raise DTypeMismatch(f"there is no derivative by {x.type}")
