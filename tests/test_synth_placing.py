"""synth.placing: results are kept apart, and a placed design is read again as it was."""

from pathlib import Path

import pytest

from hdl.config import PRESETS
from synth import placing
from synth.flow import Request, synthesize
from synth.placement import Placement
from synth.progress import Progress
from synth.scripts import DESIGN_JSON, TOP
from synth.targets import TARGETS
from synth.tools import run_tool


def test_another_way_to_place_or_to_pack_is_another_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(target: str = "ecp5-25k", pins: str = "") -> str:
        command = placing.place_command(TARGETS[target], TARGETS[target].speed, 50, 1)
        return placing.placed_key("netlist", TARGETS[target], command, pins)

    keys = [key(), key("ecp5-45k"), key(pins="LOCATE")]
    for name, other in (("pack_command", lambda target: ("ecppack", [])), ("_STEPS", ()),
                        ("tool_versions", lambda family: {})):
        with monkeypatch.context() as patch:
            patch.setattr(placing, name, other)
            keys.append(key())
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("block", ["multiplier", "accumulator", "lane_store"])
def test_a_design_that_is_read_again_is_configured_as_before(block: str, tmp_path: Path) -> None:
    """What the bitstream says of cells, pads and clocks; wires are not routed here."""
    target = TARGETS["ecp5-25k"]
    netlist = synthesize(Request(PRESETS["tiny"], target, "6", 50, block), Progress())
    (tmp_path / DESIGN_JSON).write_bytes(netlist.design.read_bytes())
    (tmp_path / placing.PINS).write_text("")
    name, options = placing.place_command(target, "6", 50, 1)
    again = [placing.PLACED_JSON if option == DESIGN_JSON else option for option in options]
    found = []
    for words in (options, [*again, "--no-pack", "--no-place"]):
        if found:
            Placement.read(tmp_path / placing.PLACED_JSON, TOP).write(tmp_path / placing.PLACED_JSON)
        run_tool(name, [*words, "--no-route"], tmp_path, "log", lambda line: None)
        lines = (tmp_path / "placed.config").read_text().splitlines()
        found.append(sorted(line for line in lines if not line.startswith("arc:")))
    assert found[0] == found[1] and len(found[0]) > 100
