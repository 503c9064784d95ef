"""Every block as Verilog under cocotb."""

from pathlib import Path

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import connect, flipped

from hdl.emit import emit_verilog
from sim.benches.blocks import BLOCKS
from sim.runner import BenchFailed, run_bench
from tests.simulators import need

VERILATED = ("chain", "router")
"""A model takes long to build under Verilator: a few show that it agrees."""

RUNS = [*(pytest.param(name, "icarus", marks=pytest.mark.icarus) for name in BLOCKS),
        *(pytest.param(name, "verilator", marks=pytest.mark.verilator) for name in VERILATED)]


@pytest.mark.parametrize(("name", "simulator"), RUNS)
def test_a_block_does_what_its_model_does(name: str, simulator: str, tmp_path: Path) -> None:
    need(simulator)
    verilog = emit_verilog(BLOCKS[name](), "block")
    assert run_bench(f"sim.benches.{name}_bench", verilog, "block", simulator=simulator,
                     test_directory=tmp_path, timeout_seconds=120)


def test_every_bench_of_a_block_is_run() -> None:
    folder = Path(__file__).parents[1] / "sim" / "benches"
    # Run by the tests of sim and of boards.
    others = {"axi", "flat", "serial", "server", "single_port"}
    assert {path.name.removesuffix("_bench.py") for path in folder.glob("*_bench.py")} == {*BLOCKS} | others


class FaultyQueue(wiring.Component):
    """A queue that breaks a rule of streams at its output."""

    def __init__(self, fault: str):
        self._queue, self._fault = BLOCKS["queue"](), fault
        super().__init__(self._queue.signature)

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = self._queue
        connect(m, flipped(self.i), queue.i)
        waited, taken = Signal(4), Signal(8)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [waited.eq(0), taken.eq(taken + 1)]
        with m.Elif(self.o.valid):
            m.d.sync += waited.eq(waited + 1)
        m.d.comb += [
            self.o.valid.eq(queue.o.valid),
            self.o.payload.eq(queue.o.payload),
            queue.o.ready.eq(self.o.ready),
        ]
        match self._fault:
            case "payload changes":
                m.d.comb += self.o.payload.a.eq(queue.o.payload.a ^ (waited != 0))
            case "valid falls":
                m.d.comb += self.o.valid.eq(queue.o.valid & (waited != 1))
            case "one too many":
                m.d.comb += self.o.valid.eq(queue.o.valid | (taken == 50))
        return m


@pytest.mark.icarus
@pytest.mark.parametrize(("fault", "message"), [
    ("payload changes", "changed while stalled"), ("valid falls", "changed while stalled"),
    ("one too many", "51 elements, expected 50")])
def test_a_stream_that_breaks_its_rules_fails_the_bench(fault: str, message: str, tmp_path: Path) -> None:
    need("icarus")
    with pytest.raises(BenchFailed, match="entries_leave_in_order"):
        run_bench("sim.benches.queue_bench", emit_verilog(FaultyQueue(fault), "block"), "block",
                  simulator="icarus", test_directory=tmp_path)
    assert message in (tmp_path / "simulator.log").read_text()
