"""Which values a kernel over rows keeps between its loops, and where: in results that are written only at the end.

The gradient of layer norm goes over a row five times and needs more of the same chain of values each time. A loop that
has made a value can store it where a result of the kernel will be, so that the loops behind it read it back. Once a
later value of the chain is all that is needed, it takes the same place. The row is in the nearest cache then: a store
and a load are worth a few additions.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from tracejit.ir.core import Value
from tracejit.ir.opdef import Pointwise, Reduction
from tracejit.ir.types import TensorType
from tracejit.records import record

if TYPE_CHECKING:
    from tracejit.codegen.lowering.kernels import KernelLowering, Target

#: Additions per element from which a value is rather read back than computed again: on a CPU, and on a GPU, whose
#: memory is slower beside its arithmetic.
COSTLY, COSTLY_NESTED = 4, 16


@record(eq=False)
class Spill:
    """A value kept in the memory of `holder` from the loop `stage` on."""

    holder: Target
    stage: int


def find(kernel: KernelLowering) -> dict[Value, Spill]:
    """The values to be kept, each with a result that holds it until it is written itself."""
    if not kernel.folded or not kernel.is_uniform():
        return {}
    choice = _Choice(kernel)
    return choice.made() if choice.whole and len(choice.roots) > 1 and choice.is_aligned() else {}


class _Choice:
    """Chooses value by value. Loops are stages: fold n is stage n, the last writes come after all folds."""

    def __init__(self, kernel: KernelLowering) -> None:
        self.shape = kernel.space_shape
        self.least = COSTLY_NESTED if kernel.nested else COSTLY
        self.makers = {r: op for op in kernel.ops for r in op.results}
        self.whole = [t for t in kernel.targets if _shape(t.value) == self.shape]
        last = max(kernel.levels.values()) + 1
        self.holders = [t for t in self.whole if kernel.levels[t.value] + 1 == last]
        self.roots: dict[int, list[Value]] = {}
        for target in self.whole:
            self.roots.setdefault(kernel.levels[target.value] + 1, []).append(target.value)
        for op in kernel.folded:
            self.roots.setdefault(kernel.levels[op.results[0]], []).append(op.operands[0])

    def is_aligned(self) -> bool:
        """Whether the kernel reads its own values only where it makes them: other elements may not be kept yet."""
        return all(
            op.defn.lower.own_index or not any(v in self.makers and _shape(v) == self.shape for v in op.operands)
            for op in self.makers.values()
            if isinstance(op.defn.lower, Pointwise)
        )

    def made(self) -> dict[Value, Spill]:
        """The values that save most, one after the other."""
        chosen: dict[Value, Spill] = {}
        while True:
            trials = sorted(self._trials(chosen), key=lambda trial: -trial[0])
            best = next((trial for _, trial in trials if self._is_possible(trial)), None)
            if best is None:
                return chosen
            chosen = best

    def _trials(self, chosen: dict[Value, Spill]) -> Iterator[tuple[int, dict[Value, Spill]]]:
        """Each value that saves enough, added to those chosen, and how much it saves."""
        needs = self._needs(chosen)
        for value in (v for v in self.makers if v not in chosen):
            stages = sorted(stage for stage in needs if value in needs[stage])
            if len(stages) < 2 or not self._has_elements(value):
                continue
            kept = chosen.keys() | {value}
            saved = 0
            for s in stages[1:]:
                rest = self._cone(self.roots[s], self._kept(chosen, s) | {value})
                saved += self._cost(needs[s], chosen) - self._cost(rest, kept)
            if saved >= self.least * (len(stages) - 1):
                own = [t for t in self.whole if t.value is value]
                for holder in own or [t for t in self.holders if t.value.type == value.type]:
                    yield saved, {**chosen, value: Spill(holder, stages[0])}

    def _is_possible(self, chosen: dict[Value, Spill]) -> bool:
        """Whether each value is made in its stage first, and where several share a holder, each is of no more use
        once the next one, which is made of it, has taken its place."""
        needs = self._needs(chosen)
        if any(spill.stage != min((s for s in needs if v in needs[s]), default=0) for v, spill in chosen.items()):
            return False
        order = sorted(chosen.items(), key=lambda item: item[1].stage)
        for holder in {spill.holder for spill in chosen.values()}:
            held = [(v, spill.stage) for v, spill in order if spill.holder is holder]
            for (before, since), (after, stage) in pairwise(held):
                is_late = any(before in needs[s] for s in needs if s > stage)
                if since == stage or is_late or before not in self._cone([after], self._kept(chosen, stage)):
                    return False
        return True

    def _has_elements(self, value: Value) -> bool:
        """Whether a value is computed for each element, rather than being a view or one number per row."""
        lower = self.makers[value].defn.lower
        return isinstance(lower, Pointwise) and not lower.view and _shape(value) == self.shape

    def _cost(self, needed: set[Value], kept: Container[Value]) -> int:
        """Additions per element."""
        return sum(self.makers[v].defn.cost for v in needed if v not in kept and self._has_elements(v))

    def _kept(self, chosen: dict[Value, Spill], stage: int) -> set[Value]:
        """What a stage reads back."""
        return {v for v, spill in chosen.items() if spill.stage < stage}

    def _needs(self, chosen: dict[Value, Spill]) -> dict[int, set[Value]]:
        """What each stage computes or reads back."""
        return {stage: self._cone(roots, self._kept(chosen, stage)) for stage, roots in self.roots.items()}

    def _cone(self, roots: Sequence[Value], kept: Container[Value]) -> set[Value]:
        """Values of the kernel that roots are made of, up to folds and to what is kept."""
        found: set[Value] = set()
        queue = list(roots)
        while queue:
            value = queue.pop()
            op = self.makers.get(value)
            if value in found or op is None or isinstance(op.defn.lower, Reduction):
                continue
            found.add(value)
            if value not in kept:
                queue += op.operands
        return found


def _shape(value: Value) -> object:
    return value.type.shape if isinstance(value.type, TensorType) else ()
