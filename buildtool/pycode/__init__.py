"""The code that a function reaches: one digest per definition, read from syntax trees (`code.Code` is the door).

Never imports or runs what a user wrote. Does not know tasks, jobs, or what has been recorded before.
"""
