"""Lets a second solver, cvc5, judge the conditions, from their text in SMT-LIB 2.

    python second.py endpoint [--export DIRECTORY]

With `--export` the text of each condition is written to a file, for any other solver: a condition
holds if the answer is `unsat`.
"""

import pathlib
import re
import sys
import time

import cvc5

import models
from prove import conditions


def answer(text, timeout_ms):
    """What cvc5 answers to `(check-sat)` in the text."""
    solver = cvc5.Solver()
    solver.setOption("tlimit-per", str(timeout_ms))
    solver.setOption("full-saturate-quant", "true")
    solver.setLogic("ALL")
    parser = cvc5.InputParser(solver)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, text, "condition")
    while not (command := parser.nextCommand()).isNull():
        said = command.invoke(solver, parser.getSymbolManager()).strip()
        if said in ("sat", "unsat", "unknown"):
            return said
    return "nothing"


def export(spec, directory, mutant=None):
    directory.mkdir(parents=True, exist_ok=True)
    count = 0
    for condition in conditions(spec, mutant):
        name = re.sub(r"[^A-Za-z0-9]+", "-", condition.name)
        text = f"; {condition.name}\n{condition.refutation().to_smt2()}"
        (directory / f"{count:03}-{name}.smt2").write_text(text)
        count += 1
    return count


def judge(spec, timeout_ms=30_000):
    """How many conditions there are, and the names of those that were not proved."""
    count, open_ = 0, []
    for condition in conditions(spec):
        count += 1
        said = answer(condition.refutation().to_smt2(), timeout_ms)
        if said != "unsat":
            open_.append(condition.name)
            print(f"  {said}: {condition.name}", flush=True)
    return count, open_


def main():
    parser = models.arguments(__doc__.split("\n", 1)[0])
    parser.add_argument("--timeout", type=int, default=30_000, metavar="MS", help="for each")
    parser.add_argument("--export", type=pathlib.Path, metavar="DIRECTORY", help="only write texts")
    args, spec = models.parsed(parser)
    if args.export is not None:
        print(f"{export(spec, args.export, args.mutant)} conditions written to {args.export}")
        return False
    if args.mutant is not None:
        parser.error("a mutant can be exported; judged is the algorithm alone")
    began = time.monotonic()
    count, failed = judge(spec, args.timeout)
    print(f"{args.model}: {count - len(failed)} of {count} conditions hold "
          f"(cvc5 {cvc5.__version__}, {time.monotonic() - began:.1f} s)")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
