"""From unknown registers and memories the array reaches known outputs after reset, and computes the same."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from amaranth.hdl import Fragment

from hdl.config import PRESETS
from hdl.emit import emit_verilog
from hdl.pins import FlatTop
from hdl.serial_code import CONSTANTS
from sim import cocotb_transport
from sim.harness_top import harness_verilog
from synth.blocks import ARRAY, make_block
from tests.products import draw_matrix, draw_options, run_checked
from tests.simulators import need
from zerolane.device import Device
from zerolane.ports import ports

_ARRAY_MODULE = re.compile(r"^module \\?zerolane_harness(?:\.array\b|_).*?^endmodule",
                           re.MULTILINE | re.DOTALL)
_REGISTER_INITIAL = re.compile(r"^(\s*reg (?:\[\d+:\d+\] )?\S+)\s+= \d+'h[0-9a-f]+;$", re.MULTILINE)
_WORD = re.compile(r"^.*\[(\d+)\] = .*\n", re.MULTILINE)
_IS_NOT_ZERO = re.compile(r"\[\d+\] = \d+'[hd]0*[1-9a-f]")
_FIRST_WORD = re.compile(r"(\S+) ?\[(?:0|word)\] =")
_MEMORY_INITIAL = re.compile(r"^( *)initial begin.*?^\1end\n", re.MULTILINE | re.DOTALL)


def unknown_start(verilog: str) -> tuple[str, int, int]:
    """The harness with nothing in the array's registers and memories, and how many of each it was."""
    counts = [0, 0]

    def forget(module: re.Match) -> str:
        text, registers = _REGISTER_INITIAL.subn(r"\1 ;", module[0])
        memories = 0

        def forget_memory(block: re.Match) -> str:
            nonlocal memories
            found = _FIRST_WORD.search(block[0])
            assert found is not None
            # What nothing is written to is no memory but a table.
            if not re.search(rf"{re.escape(found[1])} ?\[.*\] <=", text):
                return block[0].replace("initial", "/* table */ initial")
            memories += 1
            if not _IS_NOT_ZERO.search(block[0]):
                return ""
            # Of one with constants those are a table.
            table = _WORD.sub(lambda word: word[0] if int(word[1]) >= CONSTANTS else "", block[0])
            return table.replace("initial", "/* table */ initial")

        text = _MEMORY_INITIAL.sub(forget_memory, text)
        counts[0] += registers
        counts[1] += memories
        return text

    return _ARRAY_MODULE.sub(forget, verilog), counts[0], counts[1]


@pytest.mark.icarus
@pytest.mark.parametrize("preset", ["micro", "tiny", pytest.param("small", marks=pytest.mark.slow)])
def test_nothing_that_the_array_was_before_reset_reaches_its_results(
        preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    need("icarus")
    forgotten = []

    def without_initials(config, depth_words, design):
        text, *counts = unknown_start(harness_verilog(config, depth_words, design))
        modules = "".join(module[0] for module in _ARRAY_MODULE.finditer(text))
        assert modules.count("initial") == modules.count("/* table */") == 2 * config.serial
        forgotten.append(counts)
        return text

    def cycles() -> list[tuple[int, int]]:
        rng = np.random.default_rng(5)
        taken = []
        with Device(preset, simulator="icarus", memory_bytes=1 << 16, latency_cycles=8) as device:
            for (rows, inner, columns), bias, scale in (((6, 12, 21), None, None), ((9, 14, 1), "row", None),
                                                        ((5, 10, 9), "column", "one")):
                a = draw_matrix(rng, rows, inner, 0.4, "csr")
                b = draw_matrix(rng, inner, columns, 0.6, "dense")
                run_checked(device, a, b, **draw_options(rng, rows, columns, bias, scale, True))
                assert device.last_job is not None and device.transport is not None
                taken.append((device.last_job.cycles, device.transport.stats.cycles))
        return taken

    known = cycles()
    monkeypatch.setattr(cocotb_transport, "harness_verilog", without_initials)
    assert cycles() == known
    assert forgotten[0][0] > 150 and forgotten[0][1] > 10


@pytest.mark.parametrize("preset", ["micro", "tiny", "base"])
def test_every_register_has_the_reset_so_that_any_of_them_may_share_a_tile(preset: str) -> None:
    fragments, registers = [Fragment.get(make_block(ARRAY, PRESETS[preset]), None)], []
    for fragment in fragments:
        fragments += [child for child, _, _ in fragment.subfragments]
        registers += [signal for domain, statements in fragment.statements.items() if domain != "comb"
                      for statement in statements for signal in statement._lhs_signals()]
    assert len(registers) > 300
    assert [register.name for register in registers if register.reset_less] == []


@pytest.mark.icarus
def test_nothing_is_offered_on_any_port_from_the_first_edge_of_reset_on(tmp_path: Path) -> None:
    need("icarus")
    config = PRESETS["tiny"]
    text = _MEMORY_INITIAL.sub("", _REGISTER_INITIAL.sub(r"\1 ;", emit_verilog(FlatTop(config), "zerolane")))
    assert "initial" not in text
    pins = [port for port in ports(config) if port["of"] not in ("clock", "reset")]
    inputs, outputs = ([port["name"] for port in pins if port["direction"] == way]
                       for way in ("input", "output"))
    nets = ", ".join(f".{port['name']}({port['name']})" for port in pins)
    offers = ", ".join(name for name in outputs if name.endswith("valid") or name == "irq")
    # Nobody offers the array anything either; its other inputs are unknown.
    bench = [
        "module bench;", "  reg clk = 0, rst = 1;",
        *(f"  wire [{port['bits'] - 1}:0] {port['name']};" for port in pins),
        *(f"  assign {name} = 0;" for name in inputs if name.endswith("valid")),
        f"  zerolane array(.clk(clk), .rst(rst), {nets});",
        f'  initial begin #1 $display("%b", {{{offers}}}); clk = 1; #1 $display("%b", {{{offers}}}); end',
        "endmodule"]
    (tmp_path / "bench.v").write_text("\n".join([text, *bench, ""]))
    subprocess.run(["iverilog", "-g2005", "-o", "bench.vvp", "-s", "bench", "bench.v"], cwd=tmp_path,
                   check=True)
    said = subprocess.run(["vvp", "-n", "bench.vvp"], cwd=tmp_path, check=True, capture_output=True,
                          text=True)
    before, after = said.stdout.split()
    assert set(before) == {"x"} and set(after) == {"0"}
