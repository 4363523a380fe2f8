"""``python -m fuzz [target ...] [--cases N] [--seed N]``: the long form; its table, and every fault with its seed."""

from __future__ import annotations

import argparse
import resource
import sys
import time

from fuzz.campaign import run
from fuzz.targets import TARGETS

MEMORY = 16 * 2**30  # bytes of address space: what a hostile size asks for beyond is a fault


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Read hostile files by the thousand.")
    parser.add_argument("targets", nargs="*", default=list(TARGETS), metavar="target", help=", ".join(TARGETS))
    parser.add_argument("--cases", type=int, help="of each kind; default: as many as the kind's speed allows")
    parser.add_argument("--seed", type=int, default=0, help="of the first case; the next ones count up")
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    print(f"{'kind':<18}{'cases':>8}{'read':>8}{'refused':>9}{'faults':>8}{'s':>7}", flush=True)
    bad = 0
    for name in given.targets:
        cases, begun = given.cases or TARGETS[name].cases, time.monotonic()
        ended, faults = run(name, range(given.seed, given.seed + cases))
        spent = time.monotonic() - begun
        print(f"{name:<18}{cases:>8}{ended['read']:>8}{ended['refused']:>9}{len(faults):>8}{spent:>7.0f}", flush=True)
        for fault in faults:
            print(f"\n{name}, seed {fault.seed}, {fault.file}\n{fault.what}", flush=True)
        bad += len(faults)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
