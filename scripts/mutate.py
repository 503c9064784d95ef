"""Mutates the array's Verilog, plays the corpus on every mutant, proves or lists what survives.

    scripts/mutate.py [--mutants N] [--seed S] [--processes P] [--folder DIR] [--configs NAME ...]

Writes DIR/mutation.json, and prints the table of docs/verification.md. Figures depend on N and S only.
"""

import argparse
import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.verification.campaign import CONFIGS  # noqa: E402
from tests.verification.mutation import Outcome, campaign, kill_rate, table  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=300, help="of all configurations together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--random-jobs", type=int, default=40, help="products by chance in the corpus")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "mutation")
    parser.add_argument("--configs", nargs="+", default=list(CONFIGS), choices=list(CONFIGS))
    options = parser.parse_args()
    begin = time.monotonic()

    def report(text: str) -> None:
        print(f"{time.monotonic() - begin:6.0f} s  {text}", flush=True)

    outcomes: list[Outcome] = []
    shares = sum(CONFIGS[name].share for name in options.configs)
    for name in options.configs:
        count = round(options.mutants * CONFIGS[name].share / shares)
        report(f"{name}: {count} mutants")
        outcomes += campaign(CONFIGS[name].config, count, options.seed, options.folder / name,
                             random_jobs=options.random_jobs, processes=options.processes, report=report,
                             least=CONFIGS[name].least)
    options.folder.mkdir(parents=True, exist_ok=True)
    (options.folder / "mutation.json").write_text(json.dumps([outcome.as_record() for outcome in outcomes],
                                                             indent=1) + "\n")
    print(table(outcomes))
    for outcome in outcomes:
        if outcome.survives:
            print(f"survives: {outcome.config} {outcome.mutant.number} {outcome.mutant.module}: "
                  f"{outcome.mutant.place}")
    report(f"kill rate {100 * kill_rate(outcomes):.1f} %")
    return 0 if kill_rate(outcomes) >= 0.95 else 1


if __name__ == "__main__":
    sys.exit(main())
