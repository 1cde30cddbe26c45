from typing import Any

from tracejit import script


@script
def f(x: Any) -> Any:
    d = {"a": x}
    if x > 0:
        d["b"] = (x, x)
    return [d[k] for k in d]


f(1.0)
