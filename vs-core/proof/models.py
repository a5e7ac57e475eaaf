"""The models by name, and what the tools ask of the command line alike."""

import argparse
import importlib

NAMES = ["endpoint", "order", "membership", "agreement"]


def load(name):
    return importlib.import_module(name)


def arguments(what):
    """A parser for a tool that takes a model, and perhaps a mutant of it."""
    parser = argparse.ArgumentParser(description=what)
    parser.add_argument("model", choices=NAMES)
    parser.add_argument("--mutant", help="leave out a rule; `list` names them")
    return parser


def parsed(parser, argv=None):
    """The arguments and the model; a mutant that does not exist is refused with the list."""
    args = parser.parse_args(argv)
    model = load(args.model)
    if args.mutant is not None and args.mutant not in model.MUTANTS:
        names = "\n".join(f"  {n:16} {why}" for n, why in model.MUTANTS.items())
        parser.error(f"the mutants of `{args.model}` are\n{names}")
    return args, model
