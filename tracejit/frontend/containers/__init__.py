"""Lists, dicts, sets, ranges, iterators and generators."""
