"""synth.routed_timing: the slowest path of a routed design, with carries that take their time once."""

import itertools
import json
from pathlib import Path

import pytest

from hdl.config import PRESETS
from synth import placing
from synth.flow import Request, synthesize
from synth.progress import Progress
from synth.routed_timing import Hop, correct_report, slowest_path
from synth.scripts import DESIGN_JSON
from synth.targets import TARGETS
from synth.tools import run_tool

REGISTER = """(CELL
(CELLTYPE "TRELLIS_FF")
(INSTANCE {name})
(IOPATH CLK Q (430:477:525) (430:477:525))
(SETUPHOLD (posedge DI) (posedge CLK) (0:0:{setup}) (267:285:303))
)"""
CARRY = """(CELL
(CELLTYPE "TRELLIS_COMB")
(INSTANCE {name}\\$CCU2_COMB{half})
(IOPATH A FCO (175:311:447) (175:311:447))
(IOPATH FCI F ({out}:{out}:{out}) ({out}:{out}:{out}))
(IOPATH FCI FCO ({through}:{through}:{through}) ({through}:{through}:{through}))
)"""
LUT = """(CELL
(CELLTYPE "TRELLIS_COMB")
(INSTANCE {name})
(IOPATH A F (200:218:236) (200:218:236))
)"""


def delay_file(file: Path, cells: list[str], wires: list[tuple[str, str, int]]) -> Path:
    """As nextpnr writes it, a statement a line."""
    lines = [f"(INTERCONNECT {source} {sink} (1:2:{delay}) (1:2:{delay}))" for source, sink, delay in wires]
    file.write_text("\n".join(["(DELAYFILE", '(CELLTYPE "top")', "(INSTANCE )", *lines, *cells, ")"]))
    return file


def carried(file: Path, upper_through: int, upper_out: int) -> Path:
    """A register, two carry cells, a register: four halves that the carry passes."""
    halves = [CARRY.format(name=name, half=half, through=(71, upper_through)[half],
                           out=(443, upper_out)[half])
              for name in ("low", "high") for half in (0, 1)]
    pins = ["low\\$CCU2_COMB0", "low\\$CCU2_COMB1", "high\\$CCU2_COMB0", "high\\$CCU2_COMB1"]
    chain = [(f"{one}/FCO", f"{other}/FCI", 0) for one, other in itertools.pairwise(pins)]
    return delay_file(file, [REGISTER.format(name="start", setup=0), *halves,
                             REGISTER.format(name="end", setup=10)],
                      [("clock/CLKO", "start/CLK", 700), ("clock/CLKO", "end/CLK", 600),
                       ("start/Q", "low\\$CCU2_COMB0/A", 800), *chain,
                       ("high\\$CCU2_COMB1/F", "end/DI", 120), ("end/Q", "start/DI", 1200)])


def test_a_carry_takes_its_time_in_one_half_of_a_cell(tmp_path: Path) -> None:
    read_again = carried(tmp_path / "routed.sdf", 71, 443)
    packed = carried(tmp_path / "packed.sdf", 0, 403)
    path = slowest_path(read_again, packed)
    assert path == slowest_path(packed, packed)
    assert sum(hop.delay_ps for hop in path) == 525 + 800 + 447 + 0 + 71 + 403 + 120 + 10
    assert sum(hop.delay_ps for hop in slowest_path(read_again, read_again)) == 2376 + 71 + 40
    assert path[:3] == [Hop("clk-to-q", "start/Q", "start/Q", 525),
                        Hop("routing", "start/Q", "low$CCU2_COMB0/A", 800),
                        Hop("logic", "low$CCU2_COMB0/A", "low$CCU2_COMB0/FCO", 447)]
    assert path[-2:] == [Hop("routing", "high$CCU2_COMB1/F", "end/DI", 120),
                         Hop("setup", "end/DI", "end/DI", 10)]


def test_the_latest_of_several_inputs_counts(tmp_path: Path) -> None:
    file = delay_file(tmp_path / "x.sdf", [
        *(REGISTER.format(name=name, setup=20) for name in ("one", "other", "end")),
        LUT.format(name="lut").replace("(IOPATH A", "(IOPATH B F (50:50:100) (50:50:100))\n(IOPATH A")],
        [("one/Q", "lut/A", 300), ("other/Q", "lut/B", 400), ("lut/F", "end/DI", 40)])
    assert [hop.sink for hop in slowest_path(file, file)] == ["one/Q", "lut/A", "lut/F", "end/DI", "end/DI"]


def test_a_design_without_registers_has_no_path(tmp_path: Path) -> None:
    file = delay_file(tmp_path / "x.sdf", [LUT.format(name="lut")], [("pad/O", "lut/A", 300)])
    assert slowest_path(file, file) == []


@pytest.mark.parametrize("clocks, corrected", [(["clk"], True), (["clk", "other"], False)])
def test_a_report_of_one_clock_is_corrected(clocks: list[str], corrected: bool, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    paths = [{"from": f"posedge {name}", "to": f"posedge {name}", "path": []} for name in clocks]
    asynchronous = {"from": "<async>", "to": "posedge clk", "path": []}
    fields = {"fmax": {name: {"achieved": 100.0, "constraint": 90.0} for name in clocks},
              "critical_paths": [*paths, asynchronous], "utilization": {}}
    report.write_text(json.dumps(fields))
    correct_report(report, carried(tmp_path / "routed.sdf", 71, 443),
                   carried(tmp_path / "packed.sdf", 0, 403))
    found = json.loads(report.read_text())
    if not corrected:
        assert found == fields
        return
    assert found["fmax"]["clk"] == {"achieved": pytest.approx(1e6 / 2376), "constraint": 90.0}
    path, other = found["critical_paths"]
    assert other == asynchronous and path["from"] == path["to"] == "posedge clk"
    assert path["path"][1] == {"type": "routing", "delay": 0.8, "from": {"cell": "start", "port": "Q"},
                               "to": {"cell": "low$CCU2_COMB0", "port": "A"}}


@pytest.mark.parametrize("block", ["memory_guard", "reader"])
def test_a_design_packed_placed_and_routed_in_one_run_has_the_clock_that_nextpnr_says(
        block: str, tmp_path: Path) -> None:
    """There nextpnr knows the halves of carry cells: to the picosecond."""
    target = TARGETS["ecp5-25k"]
    netlist = synthesize(Request(PRESETS["tiny"], target, "6", 50, block), Progress())
    (tmp_path / DESIGN_JSON).write_bytes(netlist.design.read_bytes())
    (tmp_path / placing.PINS).write_text("")
    name, options = placing.place_command(target, "6", 50, 1)
    run_tool(name, [*options, "--sdf", "delays.sdf"], tmp_path, "place.log", lambda line: None)
    said, = json.loads((tmp_path / "report.json").read_text())["fmax"].values()
    path = slowest_path(tmp_path / "delays.sdf", tmp_path / "delays.sdf")
    assert 1e6 / sum(hop.delay_ps for hop in path) == pytest.approx(said["achieved"], rel=1e-6)
    assert any("CCU2" in hop.sink for hop in path)
