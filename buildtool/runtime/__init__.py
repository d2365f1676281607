"""What runs where a function runs; it needs the standard library alone."""

from pathlib import Path

SPAWNER = str(Path(__file__).with_name("spawner.py"))  # run as a file: it loads nothing else of the package
