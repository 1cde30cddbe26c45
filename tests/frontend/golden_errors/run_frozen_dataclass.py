from dataclasses import dataclass

from tracejit import script


@dataclass(frozen=True)
class Settings:
    rate: float


@script
def f(x):
    settings = Settings(x)
    settings.rate = 2.0
    return settings.rate


f(1.0)
