"""Proofs about the hardware's blocks: Amaranth to RTLIL, Yosys to SMT2, yosys-smtbmc with z3 or Bitwuzla."""
