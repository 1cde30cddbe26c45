"""Objects in loops: parts that an iteration changes, and names that it binds to other objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracejit.frontend.containers.key_order import is_mixed, mix, note_order
from tracejit.frontend.containers.odd_keys import grow_unless_arrays, has_odd_keys
from tracejit.frontend.containers.tables import grow_late
from tracejit.frontend.control.loop_plan import CELL, Path, label, replace
from tracejit.frontend.instances import class_values
from tracejit.frontend.instances.heap import Contents, describe_part, may_lack
from tracejit.frontend.instances.pooled_objects import pool_if_possible
from tracejit.frontend.values import DictValue, FrontValue, Mutable, ObjectValue
from tracejit.ir.core import Value

if TYPE_CHECKING:
    from tracejit.frontend.control.loops import LoopLowering

#: Objects within objects deeper than this are taken for a chain without end.
_DEEPEST = 16


class LoopObjects:
    """The objects of one attempt at a loop."""

    def __init__(self, loop: LoopLowering) -> None:
        self.loop = loop
        self.ctx = loop.ctx
        self.plan = loop.plan
        self.node = loop.node
        self.entry_objects = dict(loop.ctx.heap.objects)
        self.cell_heads: dict[tuple[object, Any], FrontValue] = {}
        self.object_heads: dict[Path, tuple[Mutable, Contents]] = {}
        self.object_ends: dict[Mutable, Path] = {}

    # -- the head -----------------------------------------------------------------------------------------------

    def head_cells(self) -> None:
        """Parts of objects that the body changes."""
        for key, part in sorted(self.plan.cells, key=str):
            o = self.entry_objects.get(key)
            if o is not None and part in o.contents:
                made = self.cell_heads[key, part] = self.loop.head((CELL, key, part), o.contents[part])
                o.contents = {**o.contents, part: made}
        for key, part in sorted(self.plan.late_parts, key=str):
            o = self.entry_objects.get(key)
            if o is not None and part not in o.contents:
                like = self.plan.parts_like[key, part]
                made = self.cell_heads[key, part] = self.loop.head_late((CELL, key, part), like)
                o.contents = {**o.contents, part: made}

    def head_object(self, path: Path, value: Mutable) -> Mutable:
        """An object under a name that the body binds to another one."""
        if path not in self.plan.objects and value in self.entry_objects.values():
            return value
        parts = {k: self.loop.head((*path, k), v) for k, v in value.contents.items()}
        made = value.like(parts) if isinstance(value, DictValue) else ObjectValue(value.cls, parts, keys=value.keys)
        mix(made, path in self.plan.mixed)
        self.ctx.new_object(made, self.node, "head", path)
        self.object_heads[path] = made, parts
        others = (self.entry_objects.get(key) for p, key in self.plan.sources if p == path)
        self.ctx.heap.merged[made] = frozenset((value, *(o for o in others if o is not None)))
        return made

    # -- the end of the body ------------------------------------------------------------------------------------

    def end_object(self, path: Path, head: Mutable, end: Mutable, ends: dict[int, int]) -> None:
        """An object at the end of an iteration."""
        if len(path) > _DEEPEST:
            pool_if_possible(self.ctx, [end])
            self.ctx.require_known(
                self.node,
                f"{label(path)!r} is a chain of objects that each iteration makes longer",
                "lists of their parts, and indices as links",
            )
        if path not in self.object_heads:
            if end is not head:
                self.plan.add(self.plan.objects, path)
            return
        _, parts = self.object_heads[path]
        other = self.object_ends.setdefault(end, path)
        if parts.keys() != end.contents.keys():
            self.loop.refuse(path, head, end)
        if other != path:
            pool_if_possible(self.ctx, [end])
            self.ctx.require_known(
                self.node,
                f"{label(path)!r} and {label(other)!r} are one object in one iteration and two in another",
                "make a new object for each",
            )
        if end in self.entry_objects.values():
            self.plan.add(self.plan.sources, (path, next(k for k, o in self.entry_objects.items() if o is end)))
        if isinstance(end, DictValue) and (end.is_mixed or tuple(parts) != tuple(end.contents)):
            self.plan.add(self.plan.mixed, path)
        for k, x in parts.items():
            self.loop.end((*path, k), x, end.contents[k], ends)

    def end_cells(self, ends: dict[int, int]) -> None:
        """What objects hold at the end of an iteration."""
        entry = self.ctx.heap.saved[-1]
        for key, o in list(self.ctx.heap.objects.items()):
            before = entry.get(o)
            if before is None or o.contents is before:
                continue
            late = o.contents.keys() - before.keys()
            if before.keys() - o.contents.keys() or (late and not may_lack(o, late)):
                grow = grow_late if before.keys() - o.contents.keys() else grow_unless_arrays
                grow(self.ctx, o, {**before, **o.contents})
                class_values.take(self.ctx, o, before.keys() ^ o.contents.keys())
                if before.keys() - o.contents.keys() or not has_odd_keys(self.ctx, o):
                    part = next(iter(before.keys() ^ o.contents.keys()))
                    self.ctx.require_known(
                        self.node,
                        f"{describe_part(o, part)} exists after an iteration only"
                        if part in o.contents
                        else f"{describe_part(o, part)} exists before the loop only",
                        "set it before the loop",
                    )
            if not is_mixed(o):
                note_order(o, before, o.contents)
                self.plan.changed |= is_mixed(o)
            for part, now in o.contents.items():
                head = self.cell_heads.get((key, part))
                if head is not None:
                    self.loop.end((CELL, key, part), head, now, ends)
                elif part in late:
                    self.plan.parts_like[key, part] = now
                    self.loop.note_ranks()
                    self.plan.add(self.plan.late_parts, (key, part))
                elif now is not before[part]:
                    self.plan.add(self.plan.cells, (key, part))

    # -- after the loop -----------------------------------------------------------------------------------------

    def result(self, name: object, head: FrontValue, mapping: dict[Value, Value]) -> FrontValue:
        """A carried value after the loop."""
        heads = dict(self.object_heads.values())
        made: list[tuple[Mutable, Mutable]] = []

        def renew(o: Mutable) -> Mutable:
            if self.ctx.heap.contains(o):
                return o
            parts = {k: replace(v, mapping, renew) for k, v in heads[o].items()}
            new = o.like(parts) if isinstance(o, DictValue) else ObjectValue(o.cls, parts, keys=o.keys)
            made.append((o, new))
            return new

        found = replace(head, mapping, renew)
        for old, new in made:
            self.ctx.new_object(new, self.node, "after", name)
            if old in self.ctx.heap.merged:
                self.ctx.heap.merged[new] = self.ctx.heap.merged[old]
        return found

    def finish(self, mapping: dict[Value, Value]) -> None:
        """Objects hold what the last iteration left in them."""
        for (key, part), head in self.cell_heads.items():
            o = self.ctx.heap.objects[key]
            o.contents = {**o.contents, part: self.result(part, head, mapping)}
