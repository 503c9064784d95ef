"""How sure we are of the array: mutants of its Verilog, coverage, and the jobs both are measured with."""
