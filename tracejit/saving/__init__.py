"""Scripts in files: `save` writes what was compiled of one, `load` reads it without its source."""

from tracejit.saving.reading import load
from tracejit.saving.writing import save

__all__ = ["load", "save"]
