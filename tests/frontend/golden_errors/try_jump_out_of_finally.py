from tracejit import script


@script
def f(x):
    try:
        x += 1
    finally:
        return x
