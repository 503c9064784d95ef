"""`python -m sim.formal [NAME...]`: runs proofs and shows a table of results."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .bench import Proof
from .table import chosen
from .tools import Result, run

COLUMNS = ("proof", "block", "property", "method", "covers", "seeded fault", "seconds")


def _method(proof: Proof, depth: int) -> str:
    return f"bounded, {depth}" if proof.induction is None else f"induction, {proof.induction}"


def _row(result: Result) -> list[str]:
    proof = result.proof
    return [
        proof.name, proof.block, proof.claim + ("" if result.proven else ": NOT PROVEN"),
        _method(proof, result.depth), f"{result.covered} of {result.covers}",
        proof.fault.about + (": found" if result.fault_found else ": NOT FOUND"),
        f"{sum(result.seconds.values()):.0f}",
    ]


def _print_line(cells: Sequence[str]) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def _print_table(results: list[Result]) -> None:
    table = Table(*COLUMNS)
    for result in results:
        table.add_row(*_row(result))
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def main(arguments: list[str] | None = None) -> int:
    """0: all is proven, covered, and every fault found; 1: not so; 2: wrong arguments."""
    parser = argparse.ArgumentParser(prog="python -m sim.formal", description=__doc__)
    parser.add_argument("names", nargs="*", help="beginnings of proofs' names; all without any")
    parser.add_argument("--depth", type=int, help="cycles from reset to check, in place of each proof's own")
    parser.add_argument("--quick", action="store_true", help="only what the test command runs, too")
    parser.add_argument("--markdown", action="store_true", help="the table as docs/verification.md holds it")
    parser.add_argument("--keep", type=Path, metavar="FOLDER",
                        help="where netlists and traces of failures are left")
    options = parser.parse_args(arguments)
    try:
        proofs = [proof for proof in chosen(options.names) if proof.quick or not options.quick]
    except ValueError as error:
        parser.error(str(error))
    results = []
    if options.markdown:
        _print_line(COLUMNS)
        _print_line(["---"] * len(COLUMNS))
    with tempfile.TemporaryDirectory() as folder:
        print("the first run of the tools compiles them: about a minute", file=sys.stderr)
        for number, proof in enumerate(proofs, 1):
            print(f"{number}/{len(proofs)} {proof.name}", file=sys.stderr, flush=True)
            result = run(proof, (options.keep or Path(folder)) / proof.name, depth=options.depth)
            if not result.good:
                print(result.output, file=sys.stderr)
            results.append(result)
            if options.markdown:
                _print_line(_row(result))
    if not options.markdown:
        _print_table(results)
    return 0 if all(result.good for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
