from dataclasses import dataclass

from tracejit import script


@dataclass
class Settings:
    rate: float
    steps: int


@script
def f(x):
    return Settings(x).rate


f(1.0)
