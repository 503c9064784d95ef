"""hdl.extent_check: every array of a descriptor against its window, by random descriptors and a model."""

import random
from typing import Any

import pytest
from amaranth.sim import Simulator

from hdl.config import PRESETS, Config
from hdl.descriptor import DESCRIPTOR_BYTES, DESCRIPTOR_FIELDS, Opcode, field_number
from hdl.emit import emit_verilog
from hdl.extent_check import ExtentCheck
from hdl.registers import ErrorCode
from sim.models.command import good
from sim.models.extents import SAMPLES, extent_error, extents
from tests.harness import as_python

EVERYWHERE = {"read": (0, 0xFFFFFFFF), "write": (0, 0xFFFFFFFF)}
ADDRESSES = ("a_pointers", "a_indices", "a_values", "b_pointers", "b_indices", "b_values", "c_address",
             "cin_address", "params_address", "c_indices", "c_pointers", "x_values")
STRIDES = ("a_stride", "b_stride", "c_stride", "cin_stride")


def check(config: Config, cases: list[tuple[dict[str, int], dict]], seed: int = 0) -> list[dict[str, Any]]:
    """The reports on descriptors that come in beat by beat, with gaps, and cycles from the last beat on."""
    dut, rng, results = ExtentCheck(config), random.Random(seed), []
    beats = DESCRIPTOR_BYTES // config.port_bytes

    async def testbench(ctx: Any) -> None:
        for descriptor, windows in cases:
            ctx.set(dut.i_windows, {name: {"base": first >> 6, "last": last >> 6}
                                    for name, (first, last) in windows.items()})
            ctx.set(dut.i_placed, 0)
            await ctx.tick()
            for placed in range(1, beats + 1):
                present = {name: value for name, value in descriptor.items()
                           if PLACES[name] // (config.port_bytes // 4) < placed}
                # What has not come yet is what the descriptor before left there.
                ctx.set(dut.i, {name: rng.getrandbits(BITS[name]) for name in BITS} | present)
                ctx.set(dut.i_placed, placed)
                while placed < beats and rng.random() < 0.8:
                    await ctx.tick()
            ctx.set(dut.i, descriptor)
            cycles = 0
            while not ctx.get(dut.o_done):
                await ctx.tick()
                cycles += 1
                assert cycles < 100
            results.append(as_python(ctx.get(dut.o)) | {"cycles": cycles})
            await ctx.tick().repeat(rng.randrange(1, 4))
            assert ctx.get(dut.o_done)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return results


PLACES = {field.name: field.word for field in DESCRIPTOR_FIELDS}
BITS = {field.name: field.bits for field in DESCRIPTOR_FIELDS}


def expected(config: Config, descriptor: dict[str, int], windows: dict) -> dict[str, Any]:
    error = extent_error(config, descriptor, windows)
    if error is None:
        return {"valid": 0}
    code, field, address = error
    return {"valid": 1, "error": {"code": code, "detail": field_number(field), "descriptor": 0,
                                  "address": address}}


def drawn(config: Config, rng: random.Random) -> tuple[dict[str, int], dict]:
    """A descriptor with good fields whose arrays end near the ends of windows, inside or not."""
    formats = 4 if config.compressed_b else 1
    d = good(config, a_format=rng.randrange(3), b_format=rng.randrange(formats),
             rows=rng.choice([1, 2, 7, 100, 70_000]), k_count=rng.choice([0, 1, 5, 16, 40]),
             n_count=rng.randrange(1, 2 * config.lanes + 1),
             reuse_tile=int(rng.random() < 0.2), accumulate=rng.randrange(2), row_bias=rng.randrange(2),
             row_scale=rng.randrange(2),
             a_nnz=rng.choice([0, 1, 33, 1000]), b_nnz=rng.choice([0, 1, 33, 1000]),
             whole=rng.randrange(2))
    d |= rng.choice([{}, {"out_raw": 1}, {"out_int8": 1}])
    if config.sddmm and rng.random() < 0.3:
        d |= {"opcode": rng.choice(SAMPLES), "a_format": rng.choice([1, 2]), "b_format": 0, "row_bias": 0,
              "row_scale": 0, "a_nnz": rng.choice([1, 33, 1000])}
    sddmm = d["opcode"] in SAMPLES
    if config.csr_out and not sddmm and rng.random() < 0.4 and not d["out_raw"]:
        d |= {"out_csr": 1, "csr_index32": rng.randrange(2), "accumulate": rng.randrange(2), "row_bias": 0,
              "c_capacity": rng.choice([0, 1, 50, 20_000, 0xFFFFFFFF])}
        if config.elementwise and d["b_format"] and rng.random() < 0.5:
            wide = d["b_format"] > 1 and rng.random() < 0.5
            d |= {"opcode": (Opcode.ELEMENTWISE_WIDE if wide else Opcode.ELEMENTWISE).value, "reuse_tile": 0,
                  "n_count": rng.randrange(70_000)}
    elif rng.random() < 0.3 and not (d["b_format"] or sddmm):
        d |= {"group_log2": rng.randrange(1, config.lane_bits + 1), "slice_words": 1}
        d["n_count"] = config.lanes >> d["group_log2"]
    d |= {name: rng.choice([0, 1, d["n_count"], 4 * d["n_count"], 1000, 1 << 20, 0xFFFFFFFF, 0x10001])
          for name in STRIDES}
    d |= {name: rng.randrange(1 << 16) for name in ADDRESSES}
    reads = [extent for extent in extents(config, d) if not extent.write]
    windows = {"read": (0, 0xFFFFFFFF), "write": (0, 0xFFFFFFFF)}
    for name, members in (("read", reads), ("write", [e for e in extents(config, d) if e.write])):
        if members and rng.random() < 0.7:
            first = min(extent.address for extent in members) // 64 * 64 + 64 * rng.choice([0, 0, 0, 1])
            last = (max(extent.end for extent in members) - 1) // 64 * 64 + 63
            last -= 64 * rng.choice([0, 0, 0, 1])
            windows[name] = (first, min(max(last, 63), 0xFFFFFFFF))
        elif members and rng.random() < 0.7:
            # Up to the end of the address space, or a little past it.
            extent = rng.choice(members)
            room = (1 << 32) - (extent.end - extent.address)
            d[extent.field] = max(0, room + rng.choice([0, 0, 1])) % (1 << 32)
    return d, windows


@pytest.mark.parametrize("preset", ["tiny", "small", "base", "large"])
@pytest.mark.parametrize("seed", range(2))
def test_random_descriptors_agree_with_a_model(preset: str, seed: int) -> None:
    config, rng = PRESETS[preset], random.Random(f"{preset} {seed}")
    cases = [drawn(config, rng) for _ in range(150)]
    wanted = [expected(config, *case) for case in cases]
    assert 30 < sum(entry["valid"] for entry in wanted) < 140
    for case, want, found in zip(cases, wanted, check(config, cases, seed), strict=True):
        assert found["valid"] == want["valid"], case
        if want["valid"]:
            assert found["error"] == want["error"], case


@pytest.mark.parametrize("name", ADDRESSES)
def test_each_array_may_touch_both_ends_of_its_window_and_no_more(name: str) -> None:
    config = PRESETS["large"]
    d = good(config, a_format=1, b_format=2, a_nnz=64, b_nnz=64, rows=16, n_count=16, accumulate=1,
             row_bias=1, c_stride=64, cin_stride=64)
    if name == "x_values":
        d |= {"opcode": Opcode.SDDMM.value, "b_format": 0, "row_bias": 0, "a_stride": 16}
    if name == "a_values":
        d |= {"a_format": 0, "a_stride": 16}
    if name in ("c_indices", "c_pointers"):
        d |= {"out_csr": 1, "accumulate": 0, "row_bias": 0, "c_capacity": 40}
    extent = next(extent for extent in extents(config, d) if extent.field == name)
    length = extent.end - extent.address
    window = {"write" if extent.write else "read": (0x1000, 0x8FFF)}
    starts = {0x1000: False, 0xFFF: True, 0x9000 - length: False, 0x9001 - length: True, 0: True,
              0x9000: True, 0xFFFF_FFFF: True}
    cases = [(d | dict.fromkeys(ADDRESSES, 0x2000) | {name: start}, EVERYWHERE | window) for start in starts]
    for found, (start, outside) in zip(check(config, cases), starts.items(), strict=True):
        assert found["valid"] == outside, hex(start)
        if outside:
            assert found["error"] == {"code": ErrorCode.OUTSIDE, "detail": field_number(name),
                                      "descriptor": 0, "address": start}


@pytest.mark.parametrize("preset, most_cycles", [("tiny", 8), ("small", 2), ("base", 15), ("large", 15)])
def test_a_usual_descriptor_is_checked_soon_after_its_last_beat(preset: str, most_cycles: int) -> None:
    config = PRESETS[preset]
    d = good(config, a_format=1, rows=60_000, k_count=200, a_nnz=1 << 20, n_count=2 * config.lanes,
             b_stride=2 * config.lanes, c_stride=8 * config.lanes, whole=1) | {
                 name: 1 << 20 for name in ADDRESSES}
    assert max(found["cycles"] for found in check(config, [(d, EVERYWHERE)] * 3)) <= most_cycles


@pytest.mark.parametrize("preset", ["tiny", "base"])
def test_it_converts_to_verilog(preset: str) -> None:
    assert "module block" in emit_verilog(ExtentCheck(PRESETS[preset]), "block")
