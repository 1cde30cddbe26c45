"""`Module`: parameters, buffers and submodules by attribute, with state, modes and hooks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

import tracejit as tj
from tracejit.eager.hooks import MODULE_HOOKS, RemovableHandle
from tracejit.nn.hooks import call_with_hooks
from tracejit.nn.parameter import Parameter
from tracejit.weights import IncompatibleKeys

Hook = Callable[..., Any]


class Module:
    """Base of all layers: subclasses assign parameters and modules in `__init__` and define `forward`."""

    training: bool

    def __init__(self) -> None:
        set_ = super().__setattr__
        set_("training", True)
        set_("_parameters", {})
        set_("_buffers", {})
        set_("_modules", {})
        set_("_non_persistent", set())
        set_("_forward_pre_hooks", {})
        set_("_forward_hooks", {})
        set_("_backward_pre_hooks", {})
        set_("_backward_hooks", {})

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The computation; every subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._forward_pre_hooks or self._forward_hooks or self._backward_hooks or self._backward_pre_hooks:
            return call_with_hooks(self, args, kwargs)
        return self.forward(*args, **kwargs)

    # -- attributes -----------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        for kind in ("_parameters", "_buffers", "_modules"):
            found = self.__dict__.get(kind)
            if found is not None and name in found:
                return found[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Parameter):
            self._claim(name, "_parameters")[name] = value
        elif isinstance(value, Module):
            self._claim(name, "_modules")[name] = value
        elif not self._replace_registered(name, value):
            super().__setattr__(name, value)

    def _claim(self, name: str, kind: str) -> dict[str, Any]:
        """The table `kind`, with `name` taken out of all other places."""
        if kind not in self.__dict__:
            raise AttributeError("cannot assign parameters or modules before Module.__init__() was called")
        self.__dict__.pop(name, None)
        for other in ("_parameters", "_buffers", "_modules"):
            if other != kind:
                self.__dict__[other].pop(name, None)
        return self.__dict__[kind]

    def _replace_registered(self, name: str, value: Any) -> bool:
        """Store a new value under a registered name: a tensor for a buffer, None for anything."""
        for kind in ("_parameters", "_buffers", "_modules"):
            table = self.__dict__.get(kind, {})
            if name not in table:
                continue
            if value is not None and (kind != "_buffers" or not isinstance(value, tj.Tensor)):
                expected = {"_parameters": "a Parameter", "_modules": "a Module", "_buffers": "a Tensor"}[kind]
                raise TypeError(f"cannot assign {type(value).__name__} as '{name}': it is {expected} or None")
            table[name] = value
            return True
        return False

    def __delattr__(self, name: str) -> None:
        for kind in ("_parameters", "_buffers", "_modules"):
            if name in self.__dict__[kind]:
                del self.__dict__[kind][name]
                self._non_persistent.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._parameters, *self._buffers, *self._modules})

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Add a parameter under a name; None reserves the name."""
        self._check_name(name)
        if parameter is not None and not isinstance(parameter, Parameter):
            raise TypeError(f"'{name}' must be a Parameter or None, got {type(parameter).__name__}")
        self._claim(name, "_parameters")[name] = parameter

    def register_buffer(self, name: str, tensor: tj.Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is state but not trained; a non-persistent one stays out of `state_dict`."""
        self._check_name(name)
        if tensor is not None and not isinstance(tensor, tj.Tensor):
            raise TypeError(f"'{name}' must be a Tensor or None, got {type(tensor).__name__}")
        self._claim(name, "_buffers")[name] = tensor
        (self._non_persistent.discard if persistent else self._non_persistent.add)(name)

    def register_module(self, name: str, module: Module | None) -> None:
        """Add a submodule under a name; None reserves the name."""
        self._check_name(name)
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"'{name}' must be a Module or None, got {type(module).__name__}")
        self._claim(name, "_modules")[name] = module

    add_module = register_module

    def _check_name(self, name: str) -> None:
        if not name or "." in name:
            raise KeyError(f"a name must not be empty or contain a dot: {name!r}")
        if hasattr(self, name) and not any(name in t for t in (self._parameters, self._buffers, self._modules)):
            raise KeyError(f"attribute '{name}' already exists")

    # -- walking ----------------------------------------------------------------------------------------

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Direct submodules with their names; a module that appears twice comes once."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def children(self) -> Iterator[Module]:
        """Direct submodules."""
        return (module for _, module in self.named_children())

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, with dotted names; parents first."""
        memo = set() if memo is None else memo
        if remove_duplicate and self in memo:
            return
        memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules())

    def _named_members(self, kind: str, prefix: str, recurse: bool, once: bool) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        pairs: Iterable[tuple[str, Module]] = (
            self.named_modules(prefix=prefix, remove_duplicate=once) if recurse else [(prefix, self)]
        )
        for path, module in pairs:
            for name, member in module.__dict__[kind].items():
                if member is None or (once and id(member) in seen):
                    continue
                seen.add(id(member))
                yield (f"{path}.{name}" if path else name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Parameters with dotted names; a shared one comes once."""
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Parameters of this module and (unless `recurse` is false) of all below it."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, tj.Tensor]]:
        """Buffers with dotted names."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[tj.Tensor]:
        """Buffers of this module and (unless `recurse` is false) of all below it."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module of a dotted name ("" is this one); AttributeError where there is none."""
        module: Module = self
        for name in target.split(".") if target else ():
            found = module._modules.get(name)
            if found is None:
                raise AttributeError(f"{type(module).__name__} has no submodule '{name}' (looking for '{target}')")
            module = found
        return module

    def _get_member(self, kind: str, target: str, word: str) -> Any:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        found = owner.__dict__[kind].get(name)
        if found is None:
            raise AttributeError(f"{type(owner).__name__} has no {word} '{name}' (looking for '{target}')")
        return found

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of a dotted name."""
        return self._get_member("_parameters", target, "parameter")

    def get_buffer(self, target: str) -> tj.Tensor:
        """The buffer of a dotted name."""
        return self._get_member("_buffers", target, "buffer")

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call `fn` on every submodule and then on this one (children first)."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # -- modes and conversions -----------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Self:
        """Set training mode here and below."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is a bool")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Leave training mode here and below."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze or unfreeze all parameters."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or set them to zero."""
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad = tj.zeros_like(parameter.grad)

    def _convert(self, convert: Callable[[tj.Tensor], tj.Tensor]) -> Self:
        for tensor in (*self.parameters(), *self.buffers()):
            tensor.data = convert(tensor.detach())
            if tensor.grad is not None:
                tensor.grad = convert(tensor.grad.detach())
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move or convert parameters and buffers, as `Tensor.to`; a floating dtype leaves integer tensors alone."""
        return self._convert(lambda t: _converted(t, args, kwargs))

    def float(self) -> Self:
        """Convert floating-point parameters and buffers to float32."""
        return self.to(tj.float32)

    def double(self) -> Self:
        """Convert floating-point parameters and buffers to float64."""
        return self.to(tj.float64)

    def half(self) -> Self:
        """Convert floating-point parameters and buffers to float16."""
        return self.to(tj.float16)

    def cpu(self) -> Self:
        """Move to the CPU."""
        return self.to("cpu")

    def cuda(self, device: str | None = None) -> Self:
        """Move to a GPU."""
        return self.to(device or "cuda")

    # -- state ---------------------------------------------------------------------------------------------

    def state_dict(self, prefix: str = "") -> OrderedDict[str, tj.Tensor]:
        """Parameters and persistent buffers by dotted name; the tensors share memory and have no history."""
        state: OrderedDict[str, tj.Tensor] = OrderedDict()
        for path, module in self.named_modules(prefix=prefix.removesuffix("."), remove_duplicate=False):
            for name, member in (*module._parameters.items(), *module._persistent_buffers()):
                if member is not None:
                    state[f"{path}.{name}" if path else name] = member.detach()
        return state

    def _persistent_buffers(self) -> Iterator[tuple[str, tj.Tensor]]:
        return ((name, b) for name, b in self._buffers.items() if name not in self._non_persistent)

    def load_state_dict(self, state: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy values by name. A wrong shape is always a RuntimeError, missing and unexpected names if `strict`."""
        own = self.state_dict()
        missing = [name for name in own if name not in state]
        unexpected = [name for name in state if name not in own]
        problems = [
            f"size mismatch for {name}: the given shape is {tuple(state[name].shape)}, the module's {tensor.shape}"
            for name, tensor in own.items()
            if name in state and tuple(state[name].shape) != tensor.shape
        ]
        if strict and unexpected:
            problems.insert(0, "Unexpected key(s) in state_dict: " + ", ".join(f'"{name}"' for name in unexpected))
        if strict and missing:
            problems.insert(0, "Missing key(s) in state_dict: " + ", ".join(f'"{name}"' for name in missing))
        if problems:
            details = "\n\t".join(problems)
            raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{details}")
        with tj.no_grad():
            for name, tensor in own.items():
                if name in state:
                    tensor.copy_(state[name])
        return IncompatibleKeys(missing, unexpected)

    # -- hooks ----------------------------------------------------------------------------------------------

    def register_forward_pre_hook(
        self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """`hook(module, args)` before `forward`; what it gives (if not None) replaces the arguments. With
        `with_kwargs` it is `hook(module, args, kwargs)` and gives both."""
        return _registered(self._forward_pre_hooks, (hook, with_kwargs), prepend)

    def register_forward_hook(self, hook: Hook, *, prepend: bool = False, with_kwargs: bool = False) -> RemovableHandle:
        """`hook(module, args, output)` after `forward`; what it gives (if not None) replaces the output."""
        return _registered(self._forward_hooks, (hook, with_kwargs), prepend)

    def register_full_backward_pre_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """`hook(module, grad_output)` when the gradients of the outputs are known; may replace them."""
        return _registered(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(self, hook: Hook, prepend: bool = False) -> RemovableHandle:
        """`hook(module, grad_input, grad_output)` when the inputs' gradients are known; may replace grad_input."""
        return _registered(self._backward_hooks, hook, prepend)

    # -- text -----------------------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What `repr` shows of the module's own settings."""
        return ""

    def __repr__(self) -> str:
        own = self.extra_repr()
        if not self._modules:
            return f"{type(self).__name__}({own})"
        lines = [own] if own else []
        for name, module in self._modules.items():
            lines.append(f"({name}): {module!r}".replace("\n", "\n  "))
        return f"{type(self).__name__}(\n  " + "\n  ".join(lines) + "\n)"


def _registered(hooks: dict[int, Any], hook: Any, prepend: bool) -> RemovableHandle:
    MODULE_HOOKS.count += 1
    handle = RemovableHandle(hooks, hook)
    if prepend:
        rest = [(key, value) for key, value in hooks.items() if key != handle.id]
        first = hooks[handle.id]
        hooks.clear()
        hooks[handle.id] = first
        hooks.update(rest)
    return handle


def _converted(tensor: tj.Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tj.Tensor:
    """`tensor.to(...)`, keeping the dtype of integer tensors."""
    moved = tensor.to(*args, **kwargs)
    if moved.dtype != tensor.dtype and tensor.dtype.kind in "biu":
        return tensor if moved.device == tensor.device else tensor.to(moved.device)
    return moved
