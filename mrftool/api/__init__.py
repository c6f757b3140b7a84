"""The functions of `import mrftool`: one for each step, on arrays or on files.

They write nothing but what they are asked to. The whole of a command, with its reports and
pictures, is in `mrftool.workflows`.
"""
