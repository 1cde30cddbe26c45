from tracejit import script


class Settings:
    def __init__(self):
        self.first = 0.0


@script
def step(x):
    settings = Settings()
    if x > 0:
        settings.last = x
    return settings


step(1.0)
