"""Derivatives inside a script."""
