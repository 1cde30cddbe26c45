"""Instances of the user's classes, and what Python asks of classes."""
