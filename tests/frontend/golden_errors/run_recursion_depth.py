from tracejit import script


@script
def endless(n):
    return 1 + endless(n + 1)


endless(0)
