from tracejit import script


class Failed(Exception):
    def __init__(self, code, where):
        super().__init__(f"{where} failed with {code}")
        self.code = code


@script
def f(x):
    if x > 2:
        raise Failed(x * 2, "step")
    return x


f(3)
