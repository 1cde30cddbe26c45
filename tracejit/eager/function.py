"""Functions with a derivative of their own: `Function` (PyTorch's protocol) and `custom_vjp` (JAX's).

Each call is one node on the tape; nothing looks inside it for derivatives.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from tracejit import pytree
from tracejit.devices import module_of
from tracejit.eager.alias import write_history
from tracejit.eager.apply import is_inexact
from tracejit.eager.inplace import check_writable
from tracejit.eager.modes import MODE, no_grad
from tracejit.eager.tape import Node, attach, is_recording
from tracejit.eager.tensor import Tensor, raw, version_of, wrap
from tracejit.eager.writes import changed_since


class Context:
    """What `Function.forward` leaves for `backward`; takes any attributes.

    `needs_input_grad` says for each argument whether its derivative is wanted.
    """

    def __init__(self, needs_input_grad: tuple[bool, ...] = ()) -> None:
        self.needs_input_grad = needs_input_grad
        self.materialize_grads = True
        self._saved: tuple[Tensor | None, ...] = ()
        self._versions: tuple[int, ...] = ()
        self._non_differentiable: tuple[Tensor, ...] = ()
        self._dirty: tuple[Tensor, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep tensors (arguments or results); changing one in place before backward is then an error."""
        self._saved = tensors
        self._versions = tuple(0 if t is None else version_of(t) for t in tensors)

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """The tensors that were kept."""
        for tensor, version in zip(self._saved, self._versions, strict=True):
            if tensor is not None and changed_since(tensor, version):
                raise RuntimeError("a tensor saved for backward was changed in place since")
        return self._saved

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Name arguments that `forward` has changed in place and gives as results: they stay the same tensors."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Name results that do not require gradients."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (else None) for results that nothing depends on."""
        self.materialize_grads = value


class _FunctionNode(Node):
    __slots__ = ("function", "ctx", "inputs", "results")
    gives_zero = False

    def __init__(self, function: type[Function], ctx: Context, inputs: Sequence[Any], results: Sequence[Any]) -> None:
        super().__init__(inputs, len(results))
        self.function = function
        self.ctx = ctx
        self.inputs = [(x.shape, x.dtype) if isinstance(x, Tensor) else None for x in inputs]
        self.results = [_like(r) for r in results]

    @property
    def name(self) -> str:
        return f"{self.function.__name__} node"

    def pull(self, cotangents: list[Any], create_graph: bool) -> Sequence[Any]:
        given = [_as_tensor(c) for c in cotangents]
        if self.ctx.materialize_grads:
            given = [like() if c is None else c for c, like in zip(given, self.results, strict=True)]
        grads = self.function.backward(self.ctx, *given)
        return checked(grads, self.inputs, self.edges, f"{self.function.__name__}.backward")

    def release(self) -> None:
        super().release()
        self.ctx._saved, self.ctx._versions = (), ()


def _like(result: Any) -> Callable[[], Tensor]:
    """Makes zeros of the result's shape and dtype."""
    array = raw(result)
    if not hasattr(array, "dtype"):
        return lambda: wrap(0.0)
    xp, shape, dtype = module_of(array), array.shape, array.dtype
    return lambda: wrap(xp.zeros(shape, dtype))


def _as_tensor(x: Any) -> Tensor | None:
    return x if x is None or isinstance(x, Tensor) else wrap(x)


def checked(grads: Any, inputs: Sequence[Any], edges: Sequence[Any], name: str) -> list[Any]:
    """A user rule's cotangents, one per input; RuntimeError for a wrong number or shape."""
    grads = tuple(grads) if isinstance(grads, tuple | list) else (grads,)
    if len(grads) > len(inputs) and all(g is None for g in grads[len(inputs) :]):
        grads = grads[: len(inputs)]
    if len(grads) != len(inputs):
        raise RuntimeError(f"{name} gave {len(grads)} gradients for {len(inputs)} arguments")
    for position, (grad, like, edge) in enumerate(zip(grads, inputs, edges, strict=True)):
        if grad is not None and edge is not None and tuple(getattr(grad, "shape", ())) != like[0]:
            raise RuntimeError(
                f"{name} gave a gradient of shape {tuple(getattr(grad, 'shape', ()))} "
                f"for argument {position} of shape {like[0]}"
            )
    return list(grads)


class Function:
    """Base of user-defined differentiable functions: static `forward(ctx, *args)` and `backward(ctx, *grads)`.

    Call `MyFunction.apply(*args)`. `backward` gets one gradient per result and gives one per argument (None where
    there is none); to be differentiated itself it must be written in tensor operations.
    """

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """Compute the results; nothing inside is recorded."""
        raise NotImplementedError("a Function needs a static forward(ctx, ...)")

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Cotangents of the arguments from those of the results."""
        raise NotImplementedError("a Function needs a static backward(ctx, ...)")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run the function as one node on the tape."""
        if MODE.tracer is not None:
            return MODE.tracer.function(cls.apply, args, {})
        recording = is_recording(args)
        ctx = Context(tuple(isinstance(a, Tensor) and a._requires_grad for a in args))
        with no_grad():
            given = cls.forward(ctx, *args)
        results = given if isinstance(given, tuple) else (given,)
        if not recording:
            return given
        changed = [any(r is t for t in ctx._dirty) for r in results]
        for result, is_changed in zip(results, changed, strict=True):
            if is_changed:
                check_writable(result)
        results = tuple(r if same else _own(r, args) for r, same in zip(results, changed, strict=True))
        node = _FunctionNode(cls, ctx, args, results)
        for port, (result, is_changed) in enumerate(zip(results, changed, strict=True)):
            if (
                isinstance(result, Tensor)
                and is_inexact(result)
                and not any(result is t for t in ctx._non_differentiable)
            ):
                if is_changed:
                    write_history(result, attach(wrap(result._data), node, port))
                else:
                    attach(result, node, port)
        return results if isinstance(given, tuple) else results[0]


def _own(result: Any, args: Sequence[Any]) -> Any:
    """A result that is an argument, or a view, becomes a tensor of its own, so that its history is this call alone."""
    if not isinstance(result, Tensor):
        return result
    return result.detach() if result._root is not None or any(result is a for a in args) else result


class _RuleNode(Node):
    __slots__ = ("rule", "residuals", "inputs", "leaves", "structure", "results", "label")

    def __init__(
        self,
        rule: Any,
        residuals: Any,
        leaves: Sequence[Any],
        arguments: pytree.Structure,
        out: pytree.Structure,
        results: Any,
        label: str,
    ) -> None:
        super().__init__(leaves, len(results))
        self.rule = rule
        self.residuals = residuals
        self.inputs = [(x.shape, x.dtype) if isinstance(x, Tensor) else None for x in leaves]
        self.leaves = arguments
        self.structure = out
        self.results = [_like(r) for r in results]
        self.label = label

    @property
    def name(self) -> str:
        return f"{self.label} node"

    def pull(self, cotangents: list[Any], create_graph: bool) -> Sequence[Any]:
        given = [like() if c is None else _as_tensor(c) for c, like in zip(cotangents, self.results, strict=True)]
        grads = self.rule(self.residuals, self.structure.unflatten(given))
        grads = grads if isinstance(grads, tuple) else (grads,)
        if len(grads) != len(self.leaves.children):
            raise RuntimeError(
                f"the backward of {self.label} gave {len(grads)} gradients for {len(self.leaves.children)} arguments"
            )
        flat = [g for child, grad in zip(self.leaves.children, grads, strict=True) for g in _leaf_grads(child, grad)]
        return checked(flat, self.inputs, self.edges, f"the backward of {self.label}")

    def release(self) -> None:
        super().release()
        self.residuals = None


def _leaf_grads(structure: pytree.Structure, grad: Any) -> list[Any]:
    """The gradients of one argument's leaves; None stands for None of all."""
    if grad is None:
        return [None] * structure.leaf_count
    return [grad] if structure.is_leaf else pytree.leaves(grad)


class custom_vjp:
    """Give a function its own derivative: `@custom_vjp` on it, then `f.defvjp(forward, backward)`.

    `forward(*args)` gives `(out, residuals)`; `backward(residuals, g)` gives a tuple of cotangents, one per argument.
    A call is one node, never looked through.
    """

    __name__: str

    def __init__(self, fn: Callable[..., Any]) -> None:
        if not callable(fn):
            raise TypeError(f"a function is needed, not {type(fn).__name__}")
        functools.update_wrapper(self, fn, updated=())  # what an object holds is no attribute of this one
        self.__name__ = getattr(fn, "__name__", type(fn).__name__)
        self.fn = fn
        self.forward: Callable[..., Any] | None = None
        self.backward: Callable[..., Any] | None = None

    def defvjp(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> custom_vjp:
        """Set the rule; gives the function itself."""
        self.forward = forward
        self.backward = backward
        return self

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if MODE.tracer is not None:
            return MODE.tracer.function(self, args, kwargs)
        leaves, structure = pytree.flatten(args)
        if not is_recording(leaves):
            return self.fn(*args, **kwargs)
        if self.forward is None or self.backward is None:
            raise RuntimeError(f"{self.__name__} has no derivative yet: call {self.__name__}.defvjp(forward, backward)")
        with no_grad():
            out, residuals = self.forward(*args, **kwargs)
        results, out_structure = pytree.flatten(out)
        results = [_own(r, leaves) for r in results]
        node = _RuleNode(self.backward, residuals, leaves, structure, out_structure, results, self.__name__)
        for port, result in enumerate(results):
            if isinstance(result, Tensor) and is_inexact(result):
                attach(result, node, port)
        return out_structure.unflatten(results)
