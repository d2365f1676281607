"""What was built from what: an SQLite database with one writer and readers that never wait.

Does not know how verdicts are reached.
"""
