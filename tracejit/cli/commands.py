"""The commands that work on a user's function: explain, export, bench, check."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tracejit.cli.targets import UsageError, arguments_of, function_of


def explain(target: str, texts: list[str], stage: str | None) -> int:
    """What becomes of a function: its graph, kernels, copies, guards; or its text after one stage."""
    from tracejit.scripted import script

    fn, args = script(function_of(target)), arguments_of(texts)
    if stage is None:
        print(fn.explain(*args))
        return 0
    fn.graph_for(*args)
    views = {"llvm": lambda: fn.llvm, "asm": lambda: fn.asm, "cuda": lambda: fn.cuda, "graph": lambda: fn.graph}
    try:
        print(views[stage]() if stage in views else fn.ir(stage))
    except KeyError as error:
        raise UsageError(f"{error.args[0]}, {', '.join(views)}") from None
    return 0


def export(target: str, texts: list[str], output: str, name: str | None, machine: str | None, threads: bool) -> int:
    """Write a function as something that runs without Python."""
    from tracejit.deploy.export import export as write

    before = _versions(Path(output))
    path = write(function_of(target), arguments_of(texts), Path(output), name=name, target=machine, threads=threads)
    beside = sorted(p.name for p, version in _versions(path).items() if p != path and before.get(p) != version)
    print(f"{path} ({path.stat().st_size / 1000:.0f} kB)" + (f"; beside it: {', '.join(beside)}" if beside else ""))
    return 0


def _versions(path: Path) -> dict[Path, tuple[int, int]]:
    """The files that are called as one, whatever their endings, each with what tells that it was written anew."""
    facts = ((p, p.stat()) for p in path.parent.glob(f"{path.stem}.*") if p.exists())
    return {p: (fact.st_ino, fact.st_mtime_ns) for p, fact in facts}


def bench(target: str | None, texts: list[str]) -> int:
    """Median times of a function as it is and compiled; without a target, of the demonstration's programs."""
    if target is None:
        from tracejit.demo.main import show_times

        show_times()
        return 0
    from tracejit.demo.timing import interleaved, pretty
    from tracejit.scripted import script

    plain = function_of(target)
    plain = getattr(plain, "__wrapped__", plain)
    compiled = script(plain)
    args, same_args = arguments_of(texts), arguments_of(texts)
    found = interleaved({"python": lambda: plain(*args), "compiled": lambda: compiled(*same_args)}, seconds=2.0)
    for name, seconds in found.items():
        print(f"{name:9} {pretty(seconds)}")
    print(f"{'ratio':9} {found['python'] / found['compiled']:.2f}")
    return 0


def check(target: str, texts: list[str]) -> int:
    """Compare a function's ways of being computed and differentiated; 1 where they differ."""
    import tracejit

    report: Any = tracejit.check(function_of(target), *arguments_of(texts))
    print(report)
    return 0 if report else 1


def require_arguments(target: str, texts: list[str]) -> None:
    """Raise UsageError where the example arguments do not fit the function's parameters."""
    from tracejit.signatures import signature_of

    signature = signature_of(function_of(target))
    try:
        signature.bind(*texts)
    except TypeError as error:
        names = ", ".join(signature.parameters) or "no arguments"
        reason = f"{target} takes {names}: " + (str(error) if texts else "give an example of each")
        raise UsageError(f"{reason}, as in f32[64,1000] or 0.5") from None
