"""The commands for FPGAs: synth, build."""

from pathlib import Path
from typing import Annotated

import typer

from zerolane.cli_shared import (
    MISMATCH_STATUS,
    ConfigFile,
    JsonFile,
    Preset,
    check_least,
    check_outputs,
    configuration,
    console,
    errors,
    fail,
)
from zerolane.output_folder import OutputFolder

__all__ = ["build", "synth"]

_MOST_SEEDS = 1000
_LARGEST_SEED = (1 << 31) - 1
"""That nextpnr takes."""
_PICTURES = (".png", ".svg")

BoardPreset = Annotated[str | None, typer.Option(
    help="micro, mini, tiny, small, lean64, lean128, base or large; tiny if nothing is said, for icebreaker "
         "micro, for tangnano20k mini")]


def _check_seeds(first: int, count: int = 1) -> None:
    check_least(("--seed", first, 0), ("--seeds", count, 1))
    if first + count - 1 > _LARGEST_SEED:
        raise typer.BadParameter(f"--seed {first}; it must be at most {_LARGEST_SEED - count + 1}")
    if count > _MOST_SEEDS:
        raise typer.BadParameter(f"--seeds {count}; it must be at most {_MOST_SEEDS}")


def synth(target: Annotated[str, typer.Option(help="ecp5-12k, -25k, -45k, -85k, gw2a-18 or gw2ar-18; "
                                                   "ice40-up5k and gw1nr-9 for micro, ice40-hx8k for "
                                                   "single blocks")],
          speed: Annotated[
              str | None, typer.Option(help="speed grade; the slowest if nothing is said")] = None,
          freq: Annotated[
              float | None, typer.Option(help="MHz that must be reached; else the part's usual one is tried")
          ] = None,
          seed: Annotated[int, typer.Option(help="of place and route")] = 1,
          seeds: Annotated[int, typer.Option(help="so many seeds, from --seed on; the fastest counts")] = 1,
          block: Annotated[str, typer.Option(help="one block alone: pe, fetch, chain_stage, ...")] = "array",
          no_place: Annotated[
              bool, typer.Option("--no-place",
                                 help="synthesis only: cells, no clock; an array takes minutes")] = False,
          depth: Annotated[int, typer.Option(help="levels of blocks in the area table")] = 3,
          picture: Annotated[
              Path | None, typer.Option(help="write a .png or .svg of the placed design")] = None,
          out: Annotated[Path | None, typer.Option(help="folder for bitstream, reports and logs")] = None,
          preset: Preset = None, config: ConfigFile = None, json_file: JsonFile = None) -> None:
    """From a configuration to a bitstream with Yosys and nextpnr: area, clock, slowest path."""
    from synth.targets import target_by_name
    from zerolane.synth_report import SynthOptions, exported_names, run_synth

    chosen = configuration(preset, config)
    _check_seeds(seed, seeds)
    check_least(("--depth", depth, 1))
    if freq is not None and not 1 <= freq <= 1000:
        raise typer.BadParameter(f"--freq {freq:g}; it must be 1 to 1000 MHz")
    if no_place:
        for name, given in (("--picture", picture is not None), ("--freq", freq is not None),
                            ("--speed", speed is not None), ("--seeds", seeds != 1), ("--seed", seed != 1),
                            ("--out", out is not None)):
            if given:
                raise typer.BadParameter(f"--no-place excludes {name}")
    names = exported_names(target_by_name(target))
    check_outputs(("--json", json_file, ()), ("--picture", picture, _PICTURES), out=out, out_names=names,
                  inputs=[("the configuration", config)])
    if out is not None:
        OutputFolder("synth", out).check(names)
    options = SynthOptions(target, speed, freq, range(seed, seed + seeds), block, not no_place, depth,
                           picture, out, json_file)
    _, failure = run_synth(chosen, options, console, errors)
    if failure is not None:
        fail(failure, MISMATCH_STATUS)


def build(
        board: Annotated[str, typer.Option(help="ulx3s (its 85F), ulx3s-12f, -25f, -45f, ecpix5, "
                                                  "orangecrab-25f, -85f, tangnano20k or icebreaker, which "
                                                  "holds micro alone")],
        out: Annotated[Path, typer.Option("-o", "--output", help="the bitstream: .bit, .fs or .bin")],
        freq: Annotated[float | None, typer.Option(
            help="MHz of the array's clock; 40 if nothing is said, for icebreaker 18")] = None,
        memory_kib: Annotated[int | None, typer.Option(
            help="of the array's memory, on the chip; 64 if the part has them for it, else what it has; for "
                 "tangnano20k 32")
        ] = None,
        seed: Annotated[int, typer.Option(help="of place and route")] = 1,
        preset: BoardPreset = None, config: ConfigFile = None, json_file: JsonFile = None) -> None:
    """A bitstream for a board: the array, memory on the chip, and a serial line for the host."""
    from synth.boards.boards import board_by_name
    from synth.boards.clocks import OFFERED_MHZ
    from zerolane.synth_report import run_build

    made = board_by_name(board)
    chosen = configuration(preset, config, made.usual_preset)
    _check_seeds(seed)
    check_outputs(("-o", out, (made.target.suffix,)), ("--json", json_file, ()),
                  inputs=[("the configuration", config)])
    clock_mhz = made.usual_mhz if freq is None else freq
    if not OFFERED_MHZ[0] <= clock_mhz <= OFFERED_MHZ[1]:
        raise typer.BadParameter(f"--freq {clock_mhz:g}; it must be {OFFERED_MHZ[0]} to {OFFERED_MHZ[1]} MHz")
    memory_bytes = 1024 * (made.usual_kib(chosen) if memory_kib is None else memory_kib)
    made.check_memory(chosen, memory_bytes)
    _, failure = run_build(chosen, made, clock_mhz, memory_bytes, seed, out, json_file, console, errors)
    if failure is not None:
        fail(failure, MISMATCH_STATUS)
