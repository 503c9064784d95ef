"""hdl.emit: port names, and memories that are cleared in a loop."""

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from hdl.emit import emit_verilog


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


def test_the_same_component_gives_the_same_text() -> None:
    assert emit_verilog(Store([]), "store") == emit_verilog(Store([]), "store")
