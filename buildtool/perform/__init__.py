"""One run of one job: what is done to the disk before it, and what is made of it afterwards.

Does not know when jobs run, nor what depends on them.
"""
