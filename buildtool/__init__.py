"""`bt`: a file-based build tool that decides by content.

The package root holds the version alone; nothing inside the package imports it.
"""

__version__ = "0.1.0"
