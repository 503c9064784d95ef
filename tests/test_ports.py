"""zerolane.ports: what the page of integration says of them. Their list against the Verilog is in
test_generate."""

from collections import Counter

import pytest
from amaranth._toolchain.yosys import YosysError, find_yosys

from hdl.config import PRESETS
from hdl.emit import emit_rtlil
from hdl.pins import FlatTop
from zerolane.ports import ports

_STATE = "$dff,$dffe,$sdff,$sdffe,$sdffce,$mem_v2,$memrd_v2,$memwr_v2"


def test_every_port_belongs_to_one_bus_or_is_clock_reset_or_interrupt() -> None:
    counts = Counter(port["of"] for port in ports(PRESETS["base"]))
    assert counts.keys() == {"clock", "reset", "memory", "control", "interrupt"}
    assert counts["clock"] == counts["reset"] == counts["interrupt"] == 1


def test_the_memory_s_data_are_as_wide_as_the_configuration_says() -> None:
    for config in PRESETS.values():
        bits = {port["name"]: port["bits"] for port in ports(config)}
        assert bits["m_axi_rdata"] == bits["m_axi_wdata"] == 8 * bits["m_axi_wstrb"] == 8 * config.port_bytes


def inputs_behind_outputs(texts: list[str], stop: str) -> bool:
    """Whether a way leads from an input to an output that does not pass cells of the kinds `stop`."""
    commands = [f"read_rtlil <<rtlil\n{text}\nrtlil" for text in texts]
    commands += ["hierarchy -top zerolane", "proc", "flatten", f"select -assert-none i:* o:* %ci*{stop} %i"]
    try:
        find_yosys(lambda version: version >= (0, 40)).run(["-q", "-"], "\n".join([*commands, ""]),
                                                            ignore_warnings=True)
    except YosysError as error:
        assert "selection is not empty" in str(error)
        return True
    return False


@pytest.fixture(scope="module")
def netlist() -> list[str]:
    return emit_rtlil(FlatTop(PRESETS["tiny"]), "zerolane")


def test_no_output_hangs_on_an_input_of_the_same_cycle(netlist: list[str]) -> None:
    assert not inputs_behind_outputs(netlist, f":-{_STATE}")


def test_outputs_hang_on_inputs_of_earlier_cycles(netlist: list[str]) -> None:
    assert inputs_behind_outputs(netlist, "")
