"""Special functions, under PyTorch's names: those that are spelled `special.<name>` in `ops/`, and others again."""

from __future__ import annotations

from tracejit.eager.methods import FUNCTIONS, members

#: Names here that are other ones in the module above.
_RENAMED = {"expit": "sigmoid", "gammaln": "lgamma", "multigammaln": "mvlgamma", "psi": "digamma"}
_SHARED = (
    *("digamma", "erf", "erfc", "erfinv", "exp2", "expm1", "log1p", "log_softmax", "logit", "logsumexp", "polygamma"),
    *("round", "sinc", "softmax", "xlogy"),
)
_OWN = (
    {name: FUNCTIONS[name] for name in _SHARED}
    | {name: FUNCTIONS[other] for name, other in _RENAMED.items()}
    | members("special")
)
globals().update(_OWN)

__all__ = list(_OWN)  # pyright: ignore[reportUnsupportedDunderAll]
