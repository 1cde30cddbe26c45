"""`x.flags` of arrays and NumPy scalars."""

from __future__ import annotations

from typing import Any

from tracejit.frontend.containers.tables import Special
from tracejit.frontend.tensors import array_flags
from tracejit.frontend.written import refuse

_lies_in_order = Special(array_flags.lies_in_order)
_may_be_written = Special(array_flags.may_be_written)

_NAMES = {
    "C_CONTIGUOUS": "c_contiguous",
    "C": "c_contiguous",
    "CONTIGUOUS": "c_contiguous",
    "F_CONTIGUOUS": "f_contiguous",
    "F": "f_contiguous",
    "FORTRAN": "f_contiguous",
    "WRITEABLE": "writeable",
    "W": "writeable",
    "OWNDATA": "owndata",
    "O": "owndata",
    "ALIGNED": "aligned",
    "A": "aligned",
    "BEHAVED": "behaved",
    "B": "behaved",
    "CARRAY": "carray",
    "CA": "carray",
    "FARRAY": "farray",
    "FA": "farray",
    "FNC": "fnc",
    "FORC": "forc",
}


class ArrayFlags:
    """What NumPy tells of an array's memory; `owndata`, which copies that are not made change, is refused."""

    def __init__(self, array: Any) -> None:
        self._array = array

    @property
    def c_contiguous(self) -> Any:
        return _lies_in_order(self._array, False)

    @property
    def contiguous(self) -> Any:
        return self.c_contiguous

    @property
    def f_contiguous(self) -> Any:
        return _lies_in_order(self._array, True)

    @property
    def fnc(self) -> Any:
        return self.f_contiguous and not self.c_contiguous

    @property
    def forc(self) -> Any:
        return self.f_contiguous or self.c_contiguous

    @property
    def aligned(self) -> Any:
        return True

    @property
    def writeable(self) -> Any:
        return _may_be_written(self._array)

    @writeable.setter
    def writeable(self, value: Any) -> None:
        refuse("an array cannot be made read-only in a script", "leave it out, or set it outside")

    @property
    def behaved(self) -> Any:
        return self.writeable

    @property
    def carray(self) -> Any:
        return self.c_contiguous and self.writeable

    @property
    def farray(self) -> Any:
        return self.fnc and self.writeable

    @property
    def owndata(self) -> Any:
        refuse("whose memory an array shows is not known in a script", "leave it out")

    def __getitem__(self, name: Any) -> Any:
        if name not in _NAMES:
            raise KeyError("Unknown flag")
        return getattr(self, _NAMES[name])

    def __str__(self) -> Any:
        refuse("the flags of an array cannot be shown as text in a script", "one of them: x.flags.c_contiguous")
