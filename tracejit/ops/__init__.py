"""The vocabulary: every op, each defined once, and the functions made of them. Importing this package registers all
and closes the registry."""

from __future__ import annotations

from tracejit.ir.opdef import REGISTRY
from tracejit.ops import (
    coerce,
    composite,
    contraction,
    control,
    effects,
    elementwise,
    indexing,
    lists,
    products,
    reduction,
    scalar,
    shape,
    statistics,
    storage,
    transcendental,
)

REGISTRY.close()

__all__ = [
    "REGISTRY",
    "coerce",
    "composite",
    "contraction",
    "control",
    "effects",
    "elementwise",
    "indexing",
    "lists",
    "products",
    "reduction",
    "scalar",
    "shape",
    "statistics",
    "storage",
    "transcendental",
]
