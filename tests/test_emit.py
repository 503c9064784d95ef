"""hdl.emit: port names, and memories that are cleared in a loop."""

import re

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.emit import emit_rtlil, emit_verilog
from hdl.shared import add_shared


class Store(wiring.Component):
    i: In(stream.Signature(8, always_ready=True))
    o: Out(8)

    def __init__(self, init):
        self._init = init
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.submodules.cells = memory = Memory(shape=8, depth=16, init=self._init)
        write, read = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [write.data.eq(self.i.payload), write.en.eq(self.i.valid), self.o.eq(read.data)]
        return m


def test_ports_are_named_by_their_path_and_constants_have_none() -> None:
    text = emit_verilog(Store([]), "store")
    assert "i__payload" in text and "i__valid" in text and "i__ready" not in text


def test_zeros_are_a_loop_and_other_contents_are_kept() -> None:
    assert "word < 16" in emit_verilog(Store([]), "store")
    text = emit_verilog(Store([0, 5]), "store")
    assert "word < 16" not in text and "8'h05" in text


class Chooser(wiring.Component):
    select: In(2)
    o: Out(8)

    def elaborate(self, platform):
        m = Module()
        count = Signal(8)
        with m.Switch(self.select):
            with m.Case(1):
                m.d.comb += self.o.eq(count)
            with m.Case(2):
                m.d.sync += count.eq(count + 1)
        return m


class Pair(wiring.Component):
    select: In(2)
    o: Out(8).array(2)

    def elaborate(self, platform):
        m = Module()
        for number in range(2):
            chooser = Chooser()
            add_shared(m, f"chooser{number}", chooser, "chooser", platform)
            m.d.comb += [chooser.select.eq(self.select), self.o[number].eq(chooser.o)]
        return m


def test_combinational_logic_is_assignments() -> None:
    text = emit_verilog(Chooser(), "chooser")
    assert "always @*" not in text and "always @(posedge clk)" in text


def test_registers_keep_their_names() -> None:
    assert "reg [7:0] count = 8'h00;" in emit_verilog(Chooser(), "chooser")


def test_equal_blocks_are_printed_once() -> None:
    text = emit_verilog(Pair(), "pair")
    assert text.count("module pair_chooser(") == 1
    assert "pair_chooser chooser0 (" in text and "pair_chooser chooser1 (" in text


def test_the_same_component_gives_the_same_text() -> None:
    assert emit_verilog(Store([]), "store") == emit_verilog(Store([]), "store")


class Listed(wiring.Component):
    i: In(4)
    o: Out(4)

    def elaborate(self, platform):
        m = Module()
        listed = Signal(data.ArrayLayout(4, 2))
        m.d.sync += [listed[1].eq(self.i), self.o.eq(listed[1] ^ listed[0])]
        return m


def test_elements_of_arrays_are_not_named_like_bits() -> None:
    for text in (emit_verilog(Listed(), "top"), *emit_rtlil(Listed(), "top")):
        assert not re.search(r"\\\w+\[", text)
        assert re.search(r"\\listed\.1\s", text)
