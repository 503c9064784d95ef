"""AXI4 and AXI4-Lite channels as streams, and the flat pins a user wires up."""

from amaranth.hdl import unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .config import ADDRESS_BITS

__all__ = ["ID_BITS", "AxiAddress", "AxiLite", "AxiMemory", "AxiRead", "AxiWrite", "AxiWriteResponse"]

ID_BITS = 4
"""Every read stream has an id of its own, so that answers find their buffer."""


def AxiAddress() -> data.StructLayout:
    """AR or AW: INCR bursts of whole beats; size is constant and `length` is beats - 1."""
    return data.StructLayout({"id": ID_BITS, "address": ADDRESS_BITS, "length": 8})


def AxiRead(data_bytes: int) -> data.StructLayout:
    return data.StructLayout({"id": ID_BITS, "data": 8 * data_bytes, "response": 2, "last": 1})


def AxiWrite(data_bytes: int) -> data.StructLayout:
    return data.StructLayout({"data": 8 * data_bytes, "strobe": data_bytes, "last": 1})


def AxiWriteResponse() -> data.StructLayout:
    return data.StructLayout({"id": ID_BITS, "response": 2})


def AxiMemory(data_bytes: int) -> wiring.Signature:
    """A memory port seen from its master."""
    return wiring.Signature({
        "ar": Out(stream.Signature(AxiAddress())),
        "r": In(stream.Signature(AxiRead(data_bytes))),
        "aw": Out(stream.Signature(AxiAddress())),
        "w": Out(stream.Signature(AxiWrite(data_bytes))),
        "b": In(stream.Signature(AxiWriteResponse())),
    })


def AxiLite(address_bits: int) -> wiring.Signature:
    """A 32-bit control port seen from its master."""
    return wiring.Signature({
        "aw": Out(stream.Signature(data.StructLayout({"address": address_bits}))),
        "w": Out(stream.Signature(data.StructLayout({"data": unsigned(32), "strobe": unsigned(4)}))),
        "b": In(stream.Signature(data.StructLayout({"response": 2}))),
        "ar": Out(stream.Signature(data.StructLayout({"address": address_bits}))),
        "r": In(stream.Signature(data.StructLayout({"data": unsigned(32), "response": 2}))),
    })
