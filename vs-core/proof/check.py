"""Checks all: conditions by two solvers, guards, mutants. What is unknown has failed.

    python check.py
"""

import multiprocessing
import os
import sys
import time

import cvc5
import z3

import cti
import enabled
import models
import prove
import second


def proved(name):
    count, failed = prove.prove(models.load(name))
    return not failed, f"{name}: {count - len(failed)} of {count} conditions hold, says z3"


def proved_again(name):
    count, failed = second.judge(models.load(name))
    return not failed, f"{name}: {count - len(failed)} of {count} conditions hold, says cvc5"


def possible(name):
    found = enabled.enabled(models.load(name))
    never = [n for n, ok in found.items() if not ok]
    text = f"{name}: {len(found) - len(never)} of {len(found)} guards and scenarios are possible"
    return not never, text + "".join(f"\n  not possible: {n}" for n in never)


def refuted(name, mutant):
    spec = models.load(name)
    found = cti.refute(spec, mutant)
    broken = ", ".join(f"{c.action}: {c.condition.split()[0]}" for c, _ in found)
    denied = "".join(f"\n  not confirmed: {c.action}: {c.condition}: {why}"
                     for c, why in found if why is not None)
    text = f"{name} without `{mutant}` ({spec.MUTANTS[mutant]}): "
    text += f"refuted, {broken}" if found else "NOT REFUTED"
    return bool(found) and not denied, text + denied


def tasks():
    for name in models.NAMES:
        yield proved_again, name
        yield proved, name
        yield possible, name
        for mutant in models.load(name).MUTANTS:
            yield refuted, name, mutant


def do(task):
    check, *arguments = task
    return check(*arguments)


def main():
    began = time.monotonic()
    print(f"z3 {z3.get_version_string()}, cvc5 {cvc5.__version__}", flush=True)
    count = failed = 0
    # Each check has a process of its own: z3 keeps what was declared.
    with multiprocessing.get_context("spawn").Pool(os.cpu_count(), maxtasksperchild=1) as pool:
        for ok, text in pool.imap(do, tasks()):
            count += 1
            failed += not ok
            print(("" if ok else "FAILED ") + text, flush=True)
    print(f"{count - failed} of {count} checks passed in {time.monotonic() - began:.0f} s")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
