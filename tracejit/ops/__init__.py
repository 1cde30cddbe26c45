"""The vocabulary: every op, each defined once. Importing this package registers all and closes the registry."""

from __future__ import annotations

from tracejit.ir.opdef import REGISTRY
from tracejit.ops import (
    contraction,
    control,
    effects,
    elementwise,
    indexing,
    lists,
    reduction,
    scalar,
    shape,
    storage,
    transcendental,
)

REGISTRY.close()

__all__ = [
    "REGISTRY",
    "contraction",
    "control",
    "effects",
    "elementwise",
    "indexing",
    "lists",
    "reduction",
    "scalar",
    "shape",
    "storage",
    "transcendental",
]
