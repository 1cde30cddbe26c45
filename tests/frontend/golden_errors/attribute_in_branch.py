import numpy as np

from tracejit import script


class Settings:
    last = 0.0


settings = Settings()


@script
def step(state, x):
    if x > 0:
        settings.last = x
    return x


step(None, 1.0)
