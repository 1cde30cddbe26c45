from tracejit import script


@script
def f(path):
    with open(path) as file:
        return file


f("x")
