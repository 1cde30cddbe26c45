"""Which memory each array name denotes, and what a write changes.

A storage class stands for one piece of memory; `bases` maps it to the SSA value that holds its present content.
A write makes a new version of the whole base; `ownership` later makes it happen in place. After control flow
met, two classes may be the same memory on some paths only: `alias` keeps a boolean for such pairs, and a write
to one is carried over to the other by `sync`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tracejit.ir.builder import Builder
from tracejit.ir.core import Value
from tracejit.ir.types import TensorType

#: Two classes are one memory: never (no entry), always (True), or where this bool value holds.
Alias = bool | Value


@dataclass(slots=True)
class Storage:
    """The state of memory at one point of the program."""

    bases: dict[int, Value] = field(default_factory=dict[int, Value])
    aliases: dict[tuple[int, int], Alias] = field(default_factory=dict[tuple[int, int], "Alias"])
    held: set[int] = field(default_factory=set[int])  #: classes that copy what Python shares, as items of lists
    counter: list[int] = field(default_factory=lambda: [0])

    def snapshot(self) -> Storage:
        """A copy that later writes do not change; class numbers stay unique."""
        return Storage(dict(self.bases), dict(self.aliases), set(self.held), self.counter)

    def new(self, base: Value) -> int:
        """A fresh class with that content."""
        self.counter[0] += 1
        self.bases[self.counter[0]] = base
        return self.counter[0]

    def alias(self, a: int, b: int) -> Alias:
        """Whether two classes are one memory."""
        if a == b:
            return True
        return self.aliases.get((min(a, b), max(a, b)), False)

    def set_alias(self, a: int, b: int, alias: Alias) -> None:
        """Record whether two different classes are one memory."""
        if alias is False:
            self.aliases.pop((min(a, b), max(a, b)), None)
        else:
            self.aliases[(min(a, b), max(a, b))] = alias

    def partners(self, a: int) -> list[tuple[int, Alias]]:
        """Other classes that may be the same memory as `a`."""
        return [(y if x == a else x, flag) for (x, y), flag in self.aliases.items() if a in (x, y)]

    def write(self, b: Builder, a: int, base: Value) -> None:
        """The content of `a` is now `base`; classes that may be the same memory follow."""
        self.bases[a] = base
        for other, flag in self.partners(a):
            if other not in self.bases:
                continue
            if flag is True:
                self.bases[other] = base
            else:
                assert isinstance(flag, Value)
                self.bases[other] = _sync(b, flag, base, self.bases[other])


def _sync(b: Builder, flag: Value, new: Value, old: Value) -> Value:
    """`new` where the flag holds, else `old`; their sizes may differ where it does not hold."""
    if new.type == old.type:
        return b.emit("sync", (flag, new, old), names=(old.name,))[0]
    then, orelse = b.nested(), b.nested()
    assert isinstance(old.type, TensorType)
    sizes = [b.dim_of(old, axis) for axis in range(old.type.rank)]
    retyped = then.emit("broadcast", (new, *sizes), {"exact": True})[0]
    blocks = (then.block((), (retyped,), "then"), orelse.block((), (old,), "else"))
    return b.emit("if", (flag,), blocks=blocks, types=(old.type,), names=(old.name,))[0]
