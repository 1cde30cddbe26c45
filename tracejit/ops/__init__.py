"""The vocabulary: every op, each defined once, and the functions made of them. Importing this package registers all
and closes the registry."""

from __future__ import annotations

from tracejit.ir.builder import COMPOSITES
from tracejit.ir.opdef import REGISTRY
from tracejit.ops import (
    arrange,
    coerce,
    combined,
    complex_parts,
    composite,
    contraction,
    control,
    convolution,
    decompositions,
    effects,
    elementwise,
    fourier,
    indexing,
    linear_algebra,
    lists,
    matrix_functions,
    numeric,
    pooling,
    products,
    random,
    reduction,
    scalar,
    shape,
    sorting,
    special,
    standard,
    statistics,
    storage,
    transcendental,
    window_ops,
    windows,
)

if _clashing := [defn.name for defn in REGISTRY if defn.name in COMPOSITES]:
    raise ValueError(f"both an op and a composite: {', '.join(_clashing)}")
REGISTRY.close()

__all__ = [
    "REGISTRY",
    "arrange",
    "coerce",
    "combined",
    "complex_parts",
    "composite",
    "contraction",
    "control",
    "convolution",
    "decompositions",
    "effects",
    "elementwise",
    "fourier",
    "indexing",
    "linear_algebra",
    "lists",
    "matrix_functions",
    "numeric",
    "pooling",
    "products",
    "random",
    "reduction",
    "scalar",
    "shape",
    "sorting",
    "special",
    "standard",
    "statistics",
    "storage",
    "transcendental",
    "window_ops",
    "windows",
]
