"""The array with the flat pins that a block design or a SoC expects."""

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .axi import ID_BITS
from .config import ADDRESS_BITS, Config, log2_exact
from .registers import REGISTER_SPACE_BITS
from .top import Top

__all__ = ["CACHE_NORMAL", "FlatPins", "FlatTop"]

_BURST_INCR = 1
CACHE_NORMAL = 0b0011  # bufferable, modifiable: ordinary memory


def _address(prefix: str, flow) -> dict:
    return {
        f"{prefix}id": flow(ID_BITS), f"{prefix}addr": flow(ADDRESS_BITS), f"{prefix}len": flow(8),
        f"{prefix}size": flow(3), f"{prefix}burst": flow(2), f"{prefix}lock": flow(1),
        f"{prefix}cache": flow(4), f"{prefix}prot": flow(3),
    }


def _handshake(prefix: str, flow, back) -> dict:
    return {f"{prefix}valid": flow(1), f"{prefix}ready": back(1)}


def FlatPins(config: Config) -> wiring.Signature:
    """The pins beside clock and reset, each a member of its own."""
    data_bytes = config.port_bytes
    return wiring.Signature({
        **_address("m_axi_aw", Out), **_handshake("m_axi_aw", Out, In),
        "m_axi_wdata": Out(8 * data_bytes), "m_axi_wstrb": Out(data_bytes), "m_axi_wlast": Out(1),
        **_handshake("m_axi_w", Out, In),
        "m_axi_bid": In(ID_BITS), "m_axi_bresp": In(2), **_handshake("m_axi_b", In, Out),
        **_address("m_axi_ar", Out), **_handshake("m_axi_ar", Out, In),
        "m_axi_rid": In(ID_BITS), "m_axi_rdata": In(8 * data_bytes), "m_axi_rresp": In(2),
        "m_axi_rlast": In(1), **_handshake("m_axi_r", In, Out),
        "s_axil_awaddr": In(REGISTER_SPACE_BITS), "s_axil_awprot": In(3),
        **_handshake("s_axil_aw", In, Out),
        "s_axil_wdata": In(32), "s_axil_wstrb": In(4), **_handshake("s_axil_w", In, Out),
        "s_axil_bresp": Out(2), **_handshake("s_axil_b", Out, In),
        "s_axil_araddr": In(REGISTER_SPACE_BITS), "s_axil_arprot": In(3),
        **_handshake("s_axil_ar", In, Out),
        "s_axil_rdata": Out(32), "s_axil_rresp": Out(2), **_handshake("s_axil_r", Out, In),
        "irq": Out(1),
    })


class FlatTop(wiring.Component):
    """`Top` with AXI4 pins `m_axi_*`, AXI4-Lite pins `s_axil_*` and `irq`; wires only.

    Throughput, Latency, Backpressure, Order: those of `Top`.

    Parameters
    ----------
    config : Config

    Members
    -------
    m_axi_* : AXI4 master, INCR bursts of whole beats, several ids
    s_axil_* : AXI4-Lite slave, 32 bits
    irq : level, active high
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(FlatPins(config))

    def elaborate(self, platform):
        m = Module()
        m.submodules.top = top = Top(self._config)
        m.d.comb += self.irq.eq(top.irq)
        self._drive(m, "m_axi_aw", top.memory.aw, {"id": "id", "addr": "address", "len": "length"})
        self._drive(m, "m_axi_ar", top.memory.ar, {"id": "id", "addr": "address", "len": "length"})
        self._drive(m, "m_axi_w", top.memory.w, {"data": "data", "strb": "strobe", "last": "last"})
        self._take(m, "m_axi_b", top.memory.b, {"id": "id", "resp": "response"})
        self._take(m, "m_axi_r", top.memory.r,
                   {"id": "id", "data": "data", "resp": "response", "last": "last"})
        for channel in ("aw", "ar"):
            m.d.comb += [
                self._pin(f"m_axi_{channel}size").eq(log2_exact(self._config.port_bytes)),
                self._pin(f"m_axi_{channel}burst").eq(_BURST_INCR),
                self._pin(f"m_axi_{channel}cache").eq(CACHE_NORMAL),
            ]
        self._take(m, "s_axil_aw", top.control.aw, {"addr": "address"})
        self._take(m, "s_axil_ar", top.control.ar, {"addr": "address"})
        self._take(m, "s_axil_w", top.control.w, {"data": "data", "strb": "strobe"})
        self._drive(m, "s_axil_b", top.control.b, {"resp": "response"})
        self._drive(m, "s_axil_r", top.control.r, {"data": "data", "resp": "response"})
        return m

    def _pin(self, name: str) -> Signal:
        return getattr(self, name)

    def _drive(self, m: Module, prefix: str, source, fields: dict[str, str]) -> None:
        """Pins from a stream that the array makes."""
        m.d.comb += [self._pin(prefix + "valid").eq(source.valid),
                     source.ready.eq(self._pin(prefix + "ready"))]
        m.d.comb += [self._pin(prefix + pin).eq(Value.cast(source.payload[field]))
                     for pin, field in fields.items()]

    def _take(self, m: Module, prefix: str, sink, fields: dict[str, str]) -> None:
        """A stream that the array takes, from pins."""
        m.d.comb += [sink.valid.eq(self._pin(prefix + "valid")),
                     self._pin(prefix + "ready").eq(sink.ready)]
        m.d.comb += [sink.payload[field].eq(self._pin(prefix + pin)) for pin, field in fields.items()]
