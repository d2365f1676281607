"""Outputs of past runs, kept by what they were made from, so that going back to it runs nothing."""
