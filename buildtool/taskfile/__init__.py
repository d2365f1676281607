"""What people wrote: TOML to task specs with places, patterns and templates.

Does not know targets, jobs or what is on the disk, the Taskfiles themselves excepted.
"""
