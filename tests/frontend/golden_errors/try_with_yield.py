from tracejit import script


def numbers(n):
    try:
        yield n
    finally:
        print("done")


@script
def f(n):
    return sum(numbers(n))


f(3)
