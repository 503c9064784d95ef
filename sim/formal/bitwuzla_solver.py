"""Bitwuzla as a program that answers SMT-LIB commands on standard input, as yosys-smtbmc wants one."""

import bitwuzla

__all__ = ["main"]


def main() -> None:
    """Until the input ends, or `(exit)`."""
    terms, options = bitwuzla.TermManager(), bitwuzla.Options()
    options.set(bitwuzla.Option.PRODUCE_MODELS, True)
    bitwuzla.Parser(terms, options).parse("<stdin>", parse_only=False, parse_file=True)
