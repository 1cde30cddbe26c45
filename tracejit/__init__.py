"""tracejit: NumPy and PyTorch style Python, differentiated and compiled to native code.

    import tracejit as tj

    @tj.script
    def f(x): ...

Tensors and their functions are here at once; `script`, the transformations, `nn`, `optim` and `export` are loaded
when they are first named.
"""

from __future__ import annotations

import importlib
from typing import Any

from numpy import broadcast_shapes

from tracejit import autograd
from tracejit.autograd import enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled
from tracejit.devices import Device as device
from tracejit.eager import dtypes as _dtypes
from tracejit.eager.conversions import can_cast, result_type
from tracejit.eager.creation import (
    arange,
    asarray,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    tensor,
    zeros,
    zeros_like,
)
from tracejit.eager.dtypes import (
    bool,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)
from tracejit.eager.facts import (
    astype,
    e,
    finfo,
    get_default_dtype,
    iinfo,
    inf,
    is_complex,
    is_floating_point,
    is_nonzero,
    is_tensor,
    isdtype,
    nan,
    newaxis,
    numel,
    pi,
    set_default_dtype,
)
from tracejit.eager.facts import namespace_info as __array_namespace_info__
from tracejit.eager.function import custom_vjp
from tracejit.eager.interop import from_dlpack
from tracejit.eager.methods import FUNCTIONS as _FUNCTIONS
from tracejit.eager.random import (
    bernoulli,
    manual_seed,
    multinomial,
    normal,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
)
from tracejit.eager.spellings import MAKERS as _MAKERS
from tracejit.eager.tensor import Tensor
from tracejit.errors import (
    ExportError,
    NotDifferentiable,
    ParseError,
    ScriptError,
    TypeMismatch,
    VerifyError,
)

__version__ = "0.1.0"
__array_api_version__ = "2024.12"

_PUBLIC = {name: function for name, function in _FUNCTIONS.items() if "." not in name and name != "trace"}
globals().update(_PUBLIC, **_MAKERS)
as_tensor = asarray

#: Names that are loaded on first use, and the module each comes from.
_LATER = {
    "script": "tracejit.scripted",
    "trace": "tracejit.scripted",
    "ScriptedFunction": "tracejit.scripted",
    **dict.fromkeys(("grad", "value_and_grad"), "tracejit.transformations.gradients"),
    **dict.fromkeys(("vjp", "jvp", "hvp"), "tracejit.transformations.calls"),
    **dict.fromkeys(("jacobian", "hessian"), "tracejit.transformations.matrices"),
    "vmap": "tracejit.transformations.batching",
    "checkpoint": "tracejit.transformations.checkpointing",
    "check": "tracejit.transformations.checking",
    "export": "tracejit.deploy",
    "load": "tracejit.saving",
    **dict.fromkeys(
        (
            *("cosine_similarity", "pairwise_distance", "pdist", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle"),
            *("celu", "hardshrink", "prelu", "rrelu", "threshold", "bilinear"),
        ),
        "tracejit.nn.functional",
    ),
    "load_weights": "tracejit.weights",
    "save_weights": "tracejit.weights",
}
_MODULES = ("config", "cuda", "data", "fft", "jit", "linalg", "nn", "optim", "special")

#: PyTorch's type of shapes, which are tuples here.
Size = tuple

#: PyTorch's other names of dtypes, which as globals of this module would hide builtins.
_DTYPES = {"float": float32, "double": float64, "half": float16, "long": int64, "int": int32, "short": int16}


def __getattr__(name: str) -> Any:
    if name == "bfloat16":
        return _dtypes.bfloat16()
    if name in _DTYPES:
        return _DTYPES[name]
    if name in _MODULES:
        return importlib.import_module(f"tracejit.{name}")
    if name not in _LATER:
        raise AttributeError(f"module 'tracejit' has no attribute '{name}'")
    try:
        found = getattr(importlib.import_module(_LATER[name]), name)
    except ModuleNotFoundError as error:
        if error.name != _LATER[name]:
            raise
        raise AttributeError(f"module 'tracejit' has no attribute '{name}'") from None
    globals()[name] = found
    return found


__all__ = [  # pyright: ignore[reportUnsupportedDunderAll]
    "__array_namespace_info__",
    "__array_api_version__",
    "Size",
    "device",
    "pi",
    "numel",
    "newaxis",
    "nan",
    "isdtype",
    "is_tensor",
    "is_complex",
    "is_floating_point",
    "is_nonzero",
    "get_default_dtype",
    "set_default_dtype",
    "broadcast_shapes",
    "inf",
    "iinfo",
    "finfo",
    "e",
    "astype",
    "ExportError",
    "NotDifferentiable",
    "ParseError",
    "ScriptError",
    "Tensor",
    "TypeMismatch",
    "VerifyError",
    "arange",
    "asarray",
    "autograd",
    "bernoulli",
    "bool",
    "can_cast",
    "complex64",
    "complex128",
    "custom_vjp",
    "empty",
    "empty_like",
    "enable_grad",
    "eye",
    "float16",
    "float32",
    "float64",
    "from_dlpack",
    "from_numpy",
    "full",
    "full_like",
    "int8",
    "int16",
    "int32",
    "int64",
    "inference_mode",
    "is_grad_enabled",
    "linspace",
    "manual_seed",
    "multinomial",
    "no_grad",
    "normal",
    "ones",
    "ones_like",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "result_type",
    "set_grad_enabled",
    "tensor",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "zeros",
    "zeros_like",
    *_PUBLIC,
    *_MAKERS,
    "as_tensor",
    *_MODULES,
    *("script", "ScriptedFunction", "trace", "export", "load", "load_weights", "save_weights"),
    *("grad", "value_and_grad", "vjp", "jvp", "jacobian", "hessian", "hvp", "vmap"),
]


def __dir__() -> list[str]:
    return sorted({*__all__, "errors", "config", "pytree", "device", "__version__"})
