"""What Verilator's -Wall may say of the generated Verilog, and why; anything else is a defect."""

__all__ = ["LINT_WAIVERS", "waiver_file"]

LINT_WAIVERS = {
    "UNUSEDSIGNAL": "fields of a stream are named in every module that passes it on",
    "PROCASSINIT": "registers have initial values beside their reset, for FPGAs",
    "WIDTHEXPAND": "the printer of the Verilog relies on the language's own extension of operands",
    "WIDTHTRUNC": "the printer writes `! vector` for `vector == 0`",
    "CASEOVERLAP": "selections that exclude each other are printed as one bit each",
    "CMPCONST": "comparisons of general code that a configuration makes constant",
    "DECLFILENAME": "the file is named by its user",
}


def waiver_file() -> str:
    """A Verilator configuration that allows these and nothing else."""
    lines = ["`verilator_config"]
    for rule, reason in LINT_WAIVERS.items():
        lines += [f"// {reason}", f"lint_off -rule {rule}"]
    return "\n".join(lines) + "\n"
