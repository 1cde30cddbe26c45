from tracejit import script


@script
def f(x):
    label = f"value {x}"
    return label.upper()


f(1.0)
