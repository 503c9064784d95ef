"""Which PE owns a row of B: one function for hardware and models.

owner(k) = low bits of k xor every higher group of as many bits. Given k's upper bits it is a bijection of
the low bits, so the upper bits are a PE's local row address and rows spread over all owners; no stride of
a power of two hits one PE alone.
"""

from amaranth.hdl import Array, Const, Value

__all__ = ["fold", "owner", "owner_value"]


def owner_value(k: int, pk_log2: int) -> int:
    """The owner of row k among 1 << pk_log2, as a Python number."""
    result = 0
    while pk_log2 and k:
        result ^= k & ((1 << pk_log2) - 1)
        k >>= pk_log2
    return result


def _xor_groups(value: Value, bits: int, start: int) -> Value:
    result: Value = Const(0, bits)
    for offset in range(start, len(value), bits):
        result = result ^ value[offset:offset + bits]
    return result[:bits]


def owner(k: Value, pk_log2: Value, pe_bits: int) -> Value:
    """Owner of row k, for a `pk_log2` that a job sets; 0 where P_k is 1."""
    return Array([Const(0, pe_bits)] + [_xor_groups(k, bits, 0) for bits in range(1, pe_bits + 1)])[pk_log2]


def fold(local_row: Value, pk_log2: Value, pe_bits: int) -> Value:
    """What k's upper bits (the local row, k >> pk_log2) contribute: owner = (low bits of k) xor fold."""
    return owner(local_row, pk_log2, pe_bits)
