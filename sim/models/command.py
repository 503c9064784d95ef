"""Descriptors, and the jobs that a command processor must make of them, in plain Python."""

from collections.abc import Mapping, Sequence
from typing import Any

from hdl.config import Config
from hdl.descriptor import DESCRIPTOR_BYTES, DESCRIPTOR_FIELDS

__all__ = ["BASE", "UNITS", "check_jobs", "good", "numbered", "pack"]

UNITS = ("fetch", "router", "tile", "collector")
BASE = 0x2000


def good(config: Config, **changes: int) -> dict[str, int]:
    """A descriptor that runs, every word different from those of other descriptors by `changes`."""
    values = {field.name: 0 for field in DESCRIPTOR_FIELDS} | {
        "opcode": 1, "rows": 5, "k_count": 16, "n_count": 2 * config.lanes, "slice_words": 2,
        "pk_log2": config.pe_bits, "c_stride": 0x10000}
    return values | changes


def pack(values: dict[str, int]) -> bytes:
    number = sum(values[entry.name] << (32 * entry.word + entry.offset) for entry in DESCRIPTOR_FIELDS)
    return number.to_bytes(DESCRIPTOR_BYTES, "little")


def numbered(config: Config, count: int, tiles: str) -> list[dict[str, int]]:
    """Descriptors whose every field tells which one it is; tiles: 0, 1 halves, w whole, r reuse."""
    result = []
    for number in range(count):
        kind = tiles[number % len(tiles)]
        words = {entry.name: 0x01010101 * (number + 1) + entry.word for entry in DESCRIPTOR_FIELDS
                 if entry.bits == 32 and entry.name not in ("rows", "k_count", "n_count")}
        words |= {name: words[name] & -4 for name in ("a_pointers", "a_indices", "b_pointers", "b_indices",
                                                      "cin_address", "cin_stride", "params_address")}
        # Sixteen rows of B at any distance would be more than there is memory.
        words["b_stride"] >>= 8
        if kind == "r":
            # In the shape that the tile was loaded in.
            result.append(good(config, **words, rows=number + 1, reuse_tile=1, relu=number & 1,
                               a_format=number % 3) | {
                name: result[-1][name] for name in ("half", "whole", "n_count")})
            continue
        result.append(good(config, **words, rows=number + 1, half=int(kind == "1"), whole=int(kind == "w"),
                           relu=number & 1, a_format=number % 3,
                           n_count=config.lanes * (1 + number % 2)))
    return result


def check_jobs(descriptors: Sequence[Mapping[str, int]], jobs: Mapping[str, list[dict[str, Any]]],
               owners: Sequence[Mapping[str, int]]) -> None:
    """AssertionError unless each unit got its part of each of `numbered`'s descriptors, in order.

    owners: the PeJob under which each descriptor's tokens passed.
    """
    for number, values in enumerate(descriptors):
        fetch, router = jobs["fetch"][number], jobs["router"][number]
        for name in ("pointers", "indices", "values", "stride", "nnz", "first", "columns"):
            assert fetch[name] == values[f"a_{name}"], name
        assert (fetch["start"], fetch["count"], fetch["rows"]) == (
            values["k_start"], values["k_count"], values["rows"])
        assert fetch["format"].value == values["a_format"]
        assert {name: router[name] for name in ("pk_log2", "slice_words", "packed", "group_log2")} == {
            "pk_log2": values["pk_log2"], "slice_words": 2, "packed": 0, "group_log2": 0}
        assert not router.get("elementwise")
        collector = jobs["collector"][number]
        for name in ("rows", "n_count", "c_address", "c_stride", "cin_address", "cin_stride",
                     "params_address", "relu"):
            assert collector[name] == values[name], name
        assert sum(collector["scale"][name] << shift for name, shift in (
            ("multiplier", 0), ("shift", 16), ("reserved", 21),
        )) == values["scale"]
        wanted = {
            "pk_log2": values["pk_log2"], "slice_words": 2, "packed": 0,
            # The first descriptor's rows are one word long.
            "total_words": values["n_count"] // descriptors[0]["n_count"],
            "half": values["half"], "group_log2": 0}
        assert {name: owners[number][name] for name in wanted} == wanted
        assert not owners[number].get("sddmm")
    loaded = [values for values in descriptors if not values["reuse_tile"]]
    for found, values in zip(jobs["tile"], loaded, strict=True):
        for name in ("pointers", "indices", "values", "stride", "nnz", "first", "columns"):
            assert found[name] == values[f"b_{name}"], name
        for name in ("k_count", "n_start", "n_count", "half", "whole", "slice_words", "pk_log2"):
            assert found[name] == values[name], name
    assert all(len(jobs[unit]) == len(descriptors) for unit in ("fetch", "router", "collector"))
