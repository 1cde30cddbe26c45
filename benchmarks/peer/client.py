"""Other compilers, in an interpreter of their own, measured in the same rounds.

`Peers` starts `server` there and asks it for samples by case name; what it does not know is left out.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.measure import Case, Variant


class Remote:
    """A variant that another process measures."""

    def __init__(self, peers: Peers, case: str, framework: str) -> None:
        self.peers, self.case, self.framework = peers, case, framework

    def sample(self, repeats: int) -> float:
        return self.peers.ask({"case": self.case, "framework": self.framework, "repeats": repeats})

    def fingerprint(self) -> list[float]:
        return self.peers.ask({"case": self.case, "framework": self.framework})


class Peers:
    """A connection to the peers' interpreter."""

    def __init__(self, python: str, threads: int) -> None:
        self.process = subprocess.Popen(
            [Path(python).absolute(), "-m", "benchmarks.peer.server", str(threads)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.known: dict[str, list[str]] = self.ask({"list": True})

    def ask(self, question: dict[str, Any]) -> Any:
        """One question, one answer. Raises RuntimeError with what went wrong there."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(f"{question}: {answer['error']}")
        return answer["value"]

    def extend(self, case: Case) -> Case:
        """The case with the peers' variants."""
        variants: dict[str, Variant] = dict(case.variants)
        for framework in self.known.get(case.name, []):
            variants[framework] = Remote(self, case.name, framework)
        return replace(case, variants=variants)

    def close(self) -> None:
        """End the other process."""
        self.process.kill()
        self.process.communicate()
