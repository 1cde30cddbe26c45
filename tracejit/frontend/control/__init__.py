"""What paths and iterations make of names: joins, loops, errors."""
