"""The builder of scripts, which knows what their lowering has found out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tracejit.errors import Span
from tracejit.ir.builder import Builder
from tracejit.ir.core import Value
from tracejit.ir.opdef import REGISTRY, OpDef

if TYPE_CHECKING:
    from tracejit.frontend.context import Context


class ScriptBuilder(Builder):
    """A builder that knows what the lowering has proved about sizes."""

    def __init__(self, span: Span | None = None, context: Context | None = None) -> None:
        super().__init__(span)
        self.context = context

    @property
    def any_size(self) -> bool:
        """Whether sizes given by name may be 0 or 1."""
        return self.context is not None and self.context.any_size

    def nested(self) -> ScriptBuilder:
        return ScriptBuilder(self.span, self.context)

    def emit(
        self, defn: OpDef | str, operands: Sequence[Value] = (), attrs: Mapping[str, Any] | None = None, **stated: Any
    ) -> tuple[Value, ...]:
        defn = REGISTRY[defn] if isinstance(defn, str) else defn
        context = self.context
        if defn.effect and context is not None:
            if context.tries is not None:
                found = context.tries.before(self, defn, operands, attrs or {})
                if found is not None:
                    return found
            if context.before_errors is not None:
                context.before_errors(self, defn, operands)
        return super().emit(defn, operands, attrs, **stated)

    def at_least(self, value: Value, bound: int) -> bool:
        """Whether a size is proved to be at least `bound`."""
        return self.context is not None and self.context.sizes.at_least(value, bound)

    def dim_of(self, x: Value, axis: int) -> Value:
        """The size of `x` along `axis`; sizes of parameters were read at the start."""
        dim = x.type.shape[axis]  # type: ignore[union-attr]
        if self.context is not None and isinstance(dim, str) and dim in self.context.dims:
            return self.context.dims[dim]
        return super().dim_of(x, axis)
