"""Running a module's hooks around its `forward`.

Backward hooks need to see the gradients of all inputs or outputs at once: the tensors pass through an identity
`Function`, one before and one after `forward`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tracejit as tj
from tracejit import pytree
from tracejit.autograd import Function

if TYPE_CHECKING:
    from tracejit.nn.module import Module


def call_with_hooks(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`module.forward(*args, **kwargs)` with all hooks."""
    for hook, with_kwargs in list(module._forward_pre_hooks.values()):
        args, kwargs = _before(hook, with_kwargs, module, args, kwargs)
    tap = _Tap(module) if module._backward_hooks or module._backward_pre_hooks else None
    if tap is not None:
        args = tap.watch_inputs(args)
    output = module.forward(*args, **kwargs)
    for hook, with_kwargs in list(module._forward_hooks.values()):
        replaced = hook(module, args, kwargs, output) if with_kwargs else hook(module, args, output)
        output = output if replaced is None else replaced
    return output if tap is None else tap.watch_outputs(output)


def _before(
    hook: Any, with_kwargs: bool, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments after one forward-pre hook."""
    if with_kwargs:
        given = hook(module, args, kwargs)
        if given is None:
            return args, kwargs
        if not isinstance(given, tuple) or len(given) != 2:
            raise RuntimeError("a forward-pre hook with kwargs gives None or (args, kwargs)")
        return given
    given = hook(module, args)
    if given is None:
        return args, kwargs
    return (given if isinstance(given, tuple) else (given,)), kwargs


class _Tap:
    """One call of a module with backward hooks."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.grad_output: tuple[Any, ...] = ()
        self.inputs_watched = False

    def watch_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments, with tensors that require gradients passed through a node that runs the hooks."""
        places = [i for i, a in enumerate(args) if isinstance(a, tj.Tensor)]
        if not any(args[i].requires_grad for i in places):
            return args
        self.inputs_watched = True
        passed = _PassInputs.apply(self, *(args[i] for i in places))
        replaced = list(args)
        for i, tensor in zip(places, passed, strict=True):
            replaced[i] = tensor
        return tuple(replaced)

    def watch_outputs(self, output: Any) -> Any:
        """The output, with its tensors passed through a node that notes their gradients."""
        leaves, structure = pytree.flatten(output)
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, tj.Tensor)]
        if not places:
            return output
        passed = _PassOutputs.apply(self, *(leaves[i] for i in places))
        for i, tensor in zip(places, passed, strict=True):
            leaves[i] = tensor
        return structure.unflatten(leaves)

    def outputs_known(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        """Run the pre hooks; without watched inputs the backward hooks too."""
        for hook in list(self.module._backward_pre_hooks.values()):
            grads = _replaced(hook(self.module, grads), grads)
        self.grad_output = grads
        if not self.inputs_watched:
            self.inputs_known((None,))
        return grads

    def inputs_known(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        """Run the backward hooks."""
        for hook in list(self.module._backward_hooks.values()):
            grads = _replaced(hook(self.module, grads, self.grad_output), grads)
        return grads


def _replaced(given: Any, grads: tuple[Any, ...]) -> tuple[Any, ...]:
    if given is None:
        return grads
    given = given if isinstance(given, tuple) else (given,)
    if len(given) != len(grads):
        raise RuntimeError(f"a backward hook gave {len(given)} gradients instead of {len(grads)}")
    return given


class _PassInputs(Function):
    """Identity whose backward runs the hooks on the gradients of the inputs."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        ctx.tap, *tensors = args
        ctx.mark_non_differentiable(*(t for t in tensors if not t.requires_grad))
        return tuple(t.detach() if t.requires_grad else t for t in tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return None, *ctx.tap.inputs_known(grads)


class _PassOutputs(Function):
    """Identity whose backward notes the gradients of the outputs."""

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        ctx.tap, *tensors = args
        return tuple(t.detach() for t in tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return None, *ctx.tap.outputs_known(grads)
