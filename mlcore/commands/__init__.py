"""The commands of `python -m mlcore`, one module each.

A command module has HELP (one line), `arguments(parser)` and `run(options) -> exit status`, and imports what it
needs inside `run`, so that help stays instant. `mlcore/__main__.py` lists them.
"""
