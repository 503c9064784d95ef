"""Plays the corpus on arrays whose branches and points Verilator counts; says what is not reached.

    scripts/coverage.py [--folder DIR] [--configs NAME ...] [--random-jobs N]

Prints the tables of docs/verification.md; exit status 1 where something is not reached that
tests/verification/unreached.py has no reason for.
"""

import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.verification.campaign import CONFIGS  # noqa: E402
from tests.verification.coverage import branch_table, measure  # noqa: E402
from tests.verification.unreached import reason_for_branch, reason_for_point  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "coverage")
    parser.add_argument("--configs", nargs="+", default=list(CONFIGS), choices=list(CONFIGS))
    parser.add_argument("--random-jobs", type=int, default=40, help="products by chance in the corpus")
    options = parser.parse_args()
    begin, unexplained = time.monotonic(), 0
    for name in options.configs:
        coverage = measure(CONFIGS[name].config, options.folder / name, random_jobs=options.random_jobs,
                           report=lambda text: print(f"{time.monotonic() - begin:6.0f} s  {text}",
                                                     flush=True))
        print(f"\nconfiguration {name}\n")
        print(branch_table(coverage))
        print("\nbranches that were not taken:\n")
        for branch in coverage.missed():
            reason = reason_for_branch(branch, name)
            unexplained += reason is None
            print(f"- {branch.block}, line {branch.line}, {branch.kind} of `{branch.text}`: {reason or '?'}")
        missed = [point for point, count in coverage.points.items() if not count]
        print(f"\n{len(coverage.points) - len(missed)} of {len(coverage.points)} points hit\n")
        for point in missed:
            reason = reason_for_point(point, name)
            unexplained += reason is None
            print(f"- {point} ({coverage.meanings[point]}): {reason or '?'}")
    return 1 if unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
