"""Weights that are computed from others before each call of their module."""

from __future__ import annotations

from typing import Any

import tracejit as tj
from tracejit.nn.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from tracejit.nn.functional import normalize
from tracejit.nn.module import Module
from tracejit.nn.parameter import Parameter


class _Computed:
    """A forward-pre hook that sets a module's attribute `name`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def compute(self, module: Module) -> Any:
        """The attribute's value."""
        raise NotImplementedError

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute(module))


def _handle_of(module: Module, kind: type[_Computed], name: str) -> int | None:
    """The key of the hook of this kind that computes `name`."""
    for key, (hook, _) in module._forward_pre_hooks.items():
        if isinstance(hook, kind) and hook.name == name:
            return key
    return None


def _taken(module: Module, kind: type[_Computed], name: str) -> Any:
    """The parameter that is to be computed, taken out of the module. RuntimeError where it is computed already."""
    if _handle_of(module, kind, name) is not None:
        raise RuntimeError(f"the parameter {name!r} is computed so already")
    parameter = getattr(module, name)
    del module._parameters[name]
    return parameter


def _installed(module: Module, hook: _Computed) -> Module:
    with tj.no_grad():  # calls compute it anew, with its history
        setattr(module, hook.name, hook.compute(module))
    module.register_forward_pre_hook(hook)
    return module


def _removed(module: Module, kind: type[_Computed], name: str, *parts: str) -> Module:
    """The module with `name` as a parameter again, of the value it has now. ValueError where it is not computed."""
    key = _handle_of(module, kind, name)
    if key is None:
        raise ValueError(f"the parameter {name!r} of {module} is not computed so")
    with tj.no_grad():
        value = module._forward_pre_hooks.pop(key)[0].compute(module)
    delattr(module, name)
    for part in parts:
        delattr(module, f"{name}{part}")
    module.register_parameter(name, Parameter(value.detach()))
    return module


class WeightNorm(_Computed):
    """A weight as direction times length (Salimans and Kingma 2016): g * v / |v|, the norm over all axes but `dim`."""

    def __init__(self, name: str, dim: int | None) -> None:
        super().__init__(name)
        self.dim = dim

    def length(self, v: Any) -> Any:
        """|v| for each place along `dim`."""
        if self.dim is None:
            return tj.linalg.vector_norm(v)
        axes = [a for a in range(v.ndim) if a != self.dim % v.ndim]
        return tj.sqrt((v * v).sum(axes, keepdim=True)) if axes else tj.abs(v)

    def compute(self, module: Module) -> Any:
        v = getattr(module, f"{self.name}_v")
        return v * (getattr(module, f"{self.name}_g") / self.length(v))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """The module with a parameter replaced by its direction `name_v` and its length `name_g` along `dim` (of the whole
    with None), from which it is computed before every call."""
    weight = _taken(module, WeightNorm, name)
    hook = WeightNorm(name, dim)
    with tj.no_grad():
        length = hook.length(weight)
    module.register_parameter(f"{name}_g", Parameter(length.detach()))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    return _installed(module, hook)


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """The module without `weight_norm`. ValueError where it has none."""
    return _removed(module, WeightNorm, name, "_g", "_v")


class SpectralNorm(_Computed):
    """A weight over its largest singular value (Miyato et al. 2018), which power iterations estimate while training."""

    def __init__(self, name: str, n_power_iterations: int, eps: float, dim: int) -> None:
        super().__init__(name)
        self.n_power_iterations = n_power_iterations
        self.eps = eps
        self.dim = dim

    def matrix(self, weight: Any) -> Any:
        """The weight as a matrix with a row for each place along `dim`."""
        return weight.movedim(self.dim, 0).reshape(weight.shape[self.dim], -1)

    def compute(self, module: Module) -> Any:
        weight, u, v = (getattr(module, f"{self.name}{part}") for part in ("_orig", "_u", "_v"))
        matrix = self.matrix(weight)
        if module.training:
            with tj.no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(normalize(matrix.t() @ u, dim=0, eps=self.eps))
                    u.copy_(normalize(matrix @ v, dim=0, eps=self.eps))
            # the next call changes them, before or after this one's derivative is asked for
            u, v = u.clone(), v.clone()
        return weight / tj.dot(u, matrix @ v)


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """The module with a parameter divided by its largest singular value before every call: that of the matrix with a
    row for each place along `dim` (the axis of what comes out of the layer unless given). `name_orig` is what is
    learnt, `name_u` and `name_v` are buffers with the singular vectors."""
    if n_power_iterations < 1:
        raise ValueError(f"spectral_norm: {n_power_iterations} iterations; there is at least 1")
    weight = _taken(module, SpectralNorm, name)
    hook = SpectralNorm(name, n_power_iterations, eps, int(_is_transposed(module)) if dim is None else dim)
    rows, columns = hook.matrix(weight).shape
    with tj.no_grad():
        for part, size in (("_u", rows), ("_v", columns)):
            start = tj.randn(size, dtype=weight.dtype, device=weight.device)
            module.register_buffer(f"{name}{part}", normalize(start, dim=0, eps=eps))
    module.register_parameter(f"{name}_orig", weight)
    return _installed(module, hook)


def _is_transposed(module: Module) -> bool:
    """Whether the outputs of a layer are the second axis of its weight."""
    return isinstance(module, ConvTranspose1d | ConvTranspose2d | ConvTranspose3d)


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """The module without `spectral_norm`. ValueError where it has none."""
    return _removed(module, SpectralNorm, name, "_orig", "_u", "_v")
