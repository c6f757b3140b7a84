"""The work of each command, callable from Python: values and a `Reporter` in, values out.

Each file is one command. What several of them do is in `steps`.
"""
