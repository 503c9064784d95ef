"""The bound that efficiency is measured against: what the lanes and the port must do at least."""

from dataclasses import dataclass, replace

from hdl.config import VALUE_BITS, Config

from .operands import Operand, nonzero_products

__all__ = ["Bound", "bound", "csr_bound", "elementwise_bound"]


@dataclass(frozen=True)
class Bound:
    """Section "bound" of the architecture: cycles that no schedule of this family stays below.

    Attributes
    ----------
    token_cycles : nonzeros of A times V-wide words of a row of C, over P; of CSR results as product_cycles
    product_cycles : products of two nonzeros over P·V; less than token_cycles where B has zeros
    memory_cycles : every operand once (A, or partial sums, once more a pass), over W
    passes : how often B fills the tile memory, at least 1
    a_bytes, b_bytes, c_bytes : as stored; of a sparse B in a product with a dense result no more than dense
    """

    token_cycles: float
    product_cycles: float
    memory_cycles: float
    passes: int
    a_bytes: int
    b_bytes: int
    c_bytes: int

    @property
    def cycles(self) -> float:
        return max(self.token_cycles, self.memory_cycles)

    def efficiency(self, cycles: int) -> float:
        """The bound over the cycles from doorbell to done; 0 where nothing ran."""
        return self.cycles / cycles if cycles else 0.0


def csr_bound(config: Config, a: Operand, b: Operand, entries: int, *, out_bytes: int = 4) -> Bound:
    """The bound for C = A·B with C in CSR of so many entries.

    The lanes make a product of two nonzeros each a cycle, and the port moves A, B and C once; C as row
    pointers and column indices of 4 bytes each and values of `out_bytes`; and A once more for each further
    column block, of which there are as few as the accumulators allow.
    """
    products = nonzero_products(a, b) / config.total_lanes
    moved = elementwise_bound(config, a.stream_bytes(), b.stream_bytes(), a.shape[0], entries,
                              out_bytes=out_bytes)
    passes = max(1, -(-b.shape[1] // config.max_block_columns))
    again = (passes - 1) * a.stream_bytes() / config.port_bytes
    return replace(moved, token_cycles=products, product_cycles=products, passes=passes,
                   memory_cycles=moved.memory_cycles + again)


def elementwise_bound(config: Config, a_bytes: int, b_bytes: int, rows: int, entries: int, *,
                      out_bytes: int = 4) -> Bound:
    """The bound for an elementwise C in CSR of so many entries: the port moves A, B and C once."""
    c_bytes = 4 * (rows + 1) + entries * (4 + out_bytes)
    return Bound(token_cycles=0.0, product_cycles=0.0,
                 memory_cycles=(a_bytes + b_bytes + c_bytes) / config.port_bytes, passes=1,
                 a_bytes=a_bytes, b_bytes=b_bytes, c_bytes=c_bytes)


def bound(config: Config, a: Operand, b: Operand, *, out_bytes: int = 4) -> Bound:
    """The bound for C = A·B, C of `out_bytes` an element; whatever plan is run.

    A's nonzeros are the tokens; B's where only B is sparse (then C^T = B^T·A^T is what the bound is stated
    for). Zeros of a dense operand make no tokens.
    """
    stream_b = b.sparse and not a.sparse
    streamed, resident = (b, a) if stream_b else (a, b)
    rows, inner = (b.shape[1], b.shape[0]) if stream_b else a.shape
    columns = a.shape[0] if stream_b else b.shape[1]
    words = -(-columns // config.lanes)
    passes = max(1, -(-inner * columns * (VALUE_BITS // 8) // config.tile_bytes))
    a_bytes = streamed.stream_bytes(transposed=stream_b)
    # The host may have made a narrow or full one dense.
    b_bytes = min(resident.stream_bytes(transposed=stream_b), inner * columns)
    c_bytes = rows * columns * out_bytes
    again = (passes - 1) * min(a_bytes, 8 * rows * columns)
    return Bound(
        token_cycles=streamed.nonzeros * words / config.pes,
        product_cycles=nonzero_products(a, b) / config.total_lanes,
        memory_cycles=(a_bytes + b_bytes + c_bytes + again) / config.port_bytes,
        passes=passes, a_bytes=a_bytes, b_bytes=b_bytes, c_bytes=c_bytes)
