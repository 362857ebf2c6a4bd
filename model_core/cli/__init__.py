"""The command line: the core without a window.

One file a command in `commands/`, found by looking; `registry.py` says what a command is, `arguments.py` has what
several of them read, `asked.py` the model and texts that their options name. `training/` is the work of
`layerscope train`. May import every room of the core; nothing imports this but the start of the program.
"""
