"""Templates to concrete jobs: variables and wildcards filled in, files matched to the jobs that make them.

Does not know what is fresh, nor how anything runs.
"""
