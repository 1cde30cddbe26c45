"""Dicts of text that lists, dicts or objects hold: records of a pool (`frontend/containers/pooled_tables.py`)."""

from __future__ import annotations

from typing import Any

from tracejit.frontend.containers import pooled_tables
from tracejit.frontend.containers.tables import Special, shows_as

#: What a record holds under a key; sets it; a dict of all it holds.
item = Special(pooled_tables.item)
set_item = Special(pooled_tables.set_item)
plain = Special(lambda calls, node, record: pooled_tables.contents(calls, record, node))


@shows_as(dict)
class Record:
    """A dict with the same few texts as keys as all others of its pool."""

    tracejit_known_keys = True

    def __getitem__(self, key: Any) -> Any:
        return item(self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        set_item(self, key, value)

    def __contains__(self, key: Any) -> Any:
        return key in plain(self)

    def __len__(self) -> Any:
        return len(plain(self))

    def __iter__(self) -> Any:
        return plain(self).keys()

    def keys(self) -> Any:
        return plain(self).keys()

    def values(self) -> Any:
        return plain(self).values()

    def items(self) -> Any:
        return plain(self).items()

    def get(self, key: Any, default: Any = None) -> Any:
        return plain(self).get(key, default)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in plain(self):
            self[key] = default
        return self[key]

    def update(self, *others: Any, **more: Any) -> None:
        given = dict(*others, **more)
        for key in given:
            self[key] = given[key]

    def copy(self) -> Any:
        return plain(self)

    def __or__(self, other: Any) -> Any:
        return {**plain(self), **other}

    def __eq__(self, other: Any) -> Any:
        return plain(self) == other if isinstance(other, dict) else NotImplemented
