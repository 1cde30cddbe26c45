from tracejit import script


@script
def f(n):
    label = f"value {n}"
    return label.title()


f(1)
