"""Python-free artefacts: exported libraries, and loading what was exported."""

from tracejit.deploy.export import export, load

__all__ = ["export", "load"]
