from tracejit import script


def squares(n):
    for i in range(n):
        print((yield i * i))


@script
def first_two(n):
    found = squares(n)
    return next(found), next(found)


first_two(3)
