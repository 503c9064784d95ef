"""The command line: demo, doctor, generate, run, bench, synth, build."""

import os
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from amaranth.hdl import UnusedElaboratable
from rich.table import Table

from hdl.config import ConfigError
from sim.transport import PortError, ToolMissing, TransportError, fastest_simulator
from synth.targets import TargetError
from synth.tools import ToolFailed
from zerolane.cli_device import board_line, open_board, open_simulated
from zerolane.cli_fpga import build, synth
from zerolane.cli_shared import (
    MISMATCH_STATUS,
    USAGE_STATUS,
    ConfigFile,
    JsonFile,
    Preset,
    check_least,
    check_outputs,
    configuration,
    console,
    errors,
    fail,
    write_json,
)
from zerolane.device import Device, DeviceError
from zerolane.formats import MatrixFileError
from zerolane.job import OVERFLOW_WARNING
from zerolane.kernel_files import KernelOptions
from zerolane.kernel_work import NamedKernel
from zerolane.operands import OperandError
from zerolane.outputs import OutputError
from zerolane.work import Kernel, Values, WorkError

if TYPE_CHECKING:
    from zerolane.bench import BenchKernel

__all__ = ["app", "main"]

INTERRUPTED_STATUS = 130
_SLOW_DEMO_IMAGES = 32
_RUN_KERNELS = [*(kernel.value for kernel in Kernel), *(kernel.value for kernel in NamedKernel)]

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False,
                  help="Sparse and dense matrix products on simulated processing-element arrays.")

Simulator = Annotated[str, typer.Option(help="verilator, icarus, amaranth, or auto: the fastest there is")]
OutDtype = Annotated[str, typer.Option(help="int32 or int8")]


def main() -> None:
    """Run the command line; every error is one line, exit status 1 (wrong result), 2 (wrong input) or
    130 (interrupted)."""
    # To be ended is to be interrupted: no tool and no simulator is left behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Of hardware that is described and then refused: the message is what counts.
    warnings.filterwarnings("ignore", category=UnusedElaboratable)
    try:
        # Outside of its own mode typer returns a status, also that of an interrupt.
        status = app(standalone_mode=False) or 0
    except typer.Exit as request:
        sys.exit(request.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        fail("interrupted", INTERRUPTED_STATUS)
    except typer.TyperException as error:
        if not error.format_message():
            sys.exit(USAGE_STATUS)  # no command: its help was shown
        fail(_refusal(error), USAGE_STATUS)
    except (ConfigError, MatrixFileError, OperandError, WorkError, ToolMissing, PortError, TargetError,
            OutputError) as error:
        fail(str(error), USAGE_STATUS)
    except (DeviceError, TransportError, ToolFailed) as error:
        fail(str(error), MISMATCH_STATUS)
    except OSError as error:
        fail(f"{error.filename or 'file'}: {error.strerror or error}", USAGE_STATUS)
    except MemoryError as error:
        fail("not enough memory on this machine" + f": {error}".rstrip(": "), USAGE_STATUS)
    except Exception as error:
        if os.environ.get("ZEROLANE_TRACEBACK"):
            raise
        fail(f"internal error, {type(error).__name__}: {error} (ZEROLANE_TRACEBACK=1 shows where)",
             MISMATCH_STATUS)
    if status == INTERRUPTED_STATUS:
        fail("interrupted", INTERRUPTED_STATUS)
    sys.exit(status)


def _refusal(error: typer.TyperException) -> str:
    """typer's message, with what it mostly leaves out: the text that is not of the option's type. Its cause
    is an error of pydantic, which is typer's dependency and not ours."""
    message = error.format_message()
    details: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
    if not details:
        return message
    if details[0]["type"] == "value_error":  # it has the text in it
        return message.replace("Value error, ", "").rstrip(".")
    return f"{message}; it is {details[0]['input']!r}"


def _check_out_dtype(out_dtype: str) -> None:
    if out_dtype not in ("int32", "int8"):
        raise typer.BadParameter(f"--out-dtype {out_dtype}; it must be int32 or int8")


@app.command()
def demo(preset: Preset = None, config: ConfigFile = None, simulator: Simulator = "auto") -> None:
    """A pruned int8 network on real digits, both layers on the simulated array."""
    from zerolane.demo import run_demo

    chosen = configuration(preset, config)
    with open_simulated(chosen, simulator) as device:
        images = None
        if "amaranth" in (simulator, fastest_simulator()) and simulator in ("auto", "amaranth"):
            images = _SLOW_DEMO_IMAGES
            console.print(f"Amaranth's own simulator is slow: {images} of the digits are run instead of 450 "
                          "(a C++ compiler lets Verilator run: apt-get install g++ make)")
        result = run_demo(device, lambda text: console.print(f"[dim]...[/] {text}"), images)
        name = device.simulator
    table = Table(title=f"cycles on preset {chosen.name}: {chosen.pes} PEs x {chosen.lanes} lanes, {name}")
    for column in ("layer", "cycles", "efficiency", "wrong results"):
        table.add_column(column, justify="left" if column == "layer" else "right")
    for layer in result.dense_layers + result.pruned_layers:
        table.add_row(layer.name, f"{layer.cycles:,}", f"{layer.efficiency:.3f}", str(layer.mismatches))
    console.print(table)
    console.print(f"accuracy on unseen digits: dense float {result.float_accuracy:.1%}, dense int8 "
                  f"{result.dense_int8_accuracy:.1%}, 75 % pruned int8 {result.pruned_int8_accuracy:.1%}")
    console.print(f"pruned needs {result.speedup:.2f} times fewer cycles than dense on the same lanes")
    if result.mismatches:
        fail(f"{result.mismatches} results differ from the golden model", MISMATCH_STATUS)
    console.print("every result equals the golden model's")


@app.command()
def doctor() -> None:
    """Which tools are here, in which version, and how to get what is missing."""
    from zerolane.doctor import examine

    findings = examine()
    table = Table("tool", "version", "for", "to get it")
    for finding in findings:
        table.add_row(finding.tool, finding.version or "[red]missing[/]", finding.purpose,
                      "" if finding.version else finding.fix)
    console.print(table)
    missing = [finding.tool for finding in findings if finding.required and not finding.version]
    if missing:
        fail(f"missing: {', '.join(missing)}", MISMATCH_STATUS)


@app.command("generate")
def generate_command(
        output: Annotated[Path, typer.Option("-o", "--output", help="the Verilog file")],
        top: Annotated[str, typer.Option(help="name of the top module, with which all others' names "
                                              "begin")] = "zerolane",
        preset: Preset = None, config: ConfigFile = None) -> None:
    """Verilog of an array, its ports and register map as JSON, a C header."""
    from zerolane.generate import generate, is_module_name, output_files

    if not is_module_name(top):
        raise typer.BadParameter(f"--top {top}; it must be letters, digits and '_', and begin with no digit")
    chosen = configuration(preset, config)
    check_outputs(("-o", output, (".v", ".sv")))
    check_outputs(*(("-o", path, ()) for path in output_files(output)),
                  inputs=[("the configuration", config)])
    with console.status(f"generating {chosen.name}"):
        written = generate(chosen, output, top)
    for path in written:
        console.print(f"{path}: {path.stat().st_size:,} bytes")


@app.command()
def run(kernel: Annotated[str, typer.Argument(help=f"{', '.join(_RUN_KERNELS)}")],
        a: Annotated[Path, typer.Argument(help=".mtx, .smtx, .npz or .npy; a tensor .tns, .npz or .npy")],
        b: Annotated[Path | None, typer.Argument(help="a matrix; random int8 if left out")] = None,
        d: Annotated[Path | None, typer.Argument(
            help="gemv, residual: b; embedding_bag (indices, offsets): the table; mttkrp: the second factor; "
                 "sddmm (S, A): B; add, sub: a third operand; spgemm: a mask")
        ] = None,
        cols: Annotated[int, typer.Option(help="columns of a random B; sddmm: of a random A")] = 32,
        mode: Annotated[int, typer.Option(
            help="dimension of the tensor, from 0: ttv and ttm sum it, mttkrp keeps it")] = 0,
        alpha: Annotated[int, typer.Option(help="gemv: alpha A x + beta b")] = 1,
        beta: Annotated[int, typer.Option(help="gemv")] = 0,
        transpose: Annotated[bool, typer.Option("--transpose", help="gemv: A transposed")] = False,
        reduce: Annotated[str, typer.Option(help="embedding_bag: sum or mean")] = "sum",
        weights: Annotated[Path | None, typer.Option(help="embedding_bag: one int8 an index")] = None,
        values: Annotated[Values, typer.Option(help="the file's values, or random ones in its pattern")]
        = Values.FILE,
        out_dtype: OutDtype = "int32", seed: Annotated[int, typer.Option(help="of random values")] = 0,
        preset: Preset = None, config: ConfigFile = None, simulator: Simulator = "auto",
        device: Annotated[
            str | None, typer.Option(help="serial:PORT, a board that `zerolane build` made the bitstream of; "
                                          "it tells its preset if neither --preset nor --config is given")
        ] = None,
        out: Annotated[Path | None, typer.Option(help="folder for operands, result and run.json")] = None,
        json_file: JsonFile = None) -> None:
    """One kernel on the simulated array, or on a board, checked against the golden model."""
    from zerolane import report
    from zerolane.kernel_files import prepare_kernel
    from zerolane.work import prepare_work

    chosen = configuration(preset, config)
    _check_out_dtype(out_dtype)
    check_least(("--seed", seed, 0))
    check_outputs(("--json", json_file, ()), out=out, out_names=report.RUN_FILES,
                  inputs=[("the configuration", config),
                          *(("an operand", path) for path in (a, b, d, weights))])
    if kernel not in _RUN_KERNELS:
        raise typer.BadParameter(f"{kernel!r} is no kernel; it must be one of {', '.join(_RUN_KERNELS)}")
    named = kernel in set(NamedKernel)
    if named:
        if out_dtype != "int32":
            raise typer.BadParameter(f"--out-dtype {out_dtype}: {kernel} has a type of its own")
        options = KernelOptions(cols, mode, alpha, beta, transpose, reduce, weights)
        files = [path for path in (a, b, d) if path is not None]
        named_work = prepare_kernel(NamedKernel(kernel), files, options, values, seed)
    else:
        if d is not None:
            raise typer.BadParameter(f"{d}: {kernel} takes two operands")
        work = prepare_work(Kernel(kernel), a, b, cols, values, seed)
    opened = (open_simulated(chosen, simulator) if device is None else
              open_board(device, simulator, preset, config))
    if out is not None:
        report.run_folder(out).check(report.operand_files(named_work if named else work))
    with opened as array, console.status(f"{kernel} on {array.config.name}"):
        outcome = report.run_kernel(array, named_work) if named else report.run_work(array, work, out_dtype)
    if out is not None:
        if named:
            report.write_kernel(out, named_work, outcome)
        else:
            report.write_outcome(out, work, outcome)
    write_json(json_file, outcome.record)
    _print_record(outcome.record)
    if outcome.mismatches:
        fail(f"{outcome.mismatches} results differ from the golden model", MISMATCH_STATUS)


def _print_record(record: dict[str, Any]) -> None:
    sizes = [str(size) for size in record["shape"]]
    shape = " x ".join(sizes) if len(sizes) == 2 else f"{sizes[0]} x {sizes[1]} times {sizes[1]} x {sizes[2]}"
    console.print(f"{record['kernel']} {record['matrix']}: {shape}, "
                  f"{record['nnz']:,} nonzeros, {record['out_dtype']} out, preset {record['preset']}")
    if "out_nnz" in record:
        console.print(f"result: CSR with {record['out_nnz']:,} entries")
    if "lowering" in record:
        console.print(record["lowering"], markup=False)
    console.print(f"plan: {record['plan']}")
    console.print(f"cycles {record['cycles']:,}; bound: tokens {record['token_cycles']:,.0f}, memory "
                  f"{record['memory_cycles']:,.0f}; efficiency {record['efficiency']:.3f}")
    counters = ", ".join(f"{name} {value:,}" for name, value in record["counters"].items())
    console.print(f"counters: {counters}")
    if record["overflow"]:
        console.print(OVERFLOW_WARNING)
    if record["quantization_error"]:
        error = record["quantization_error"]
        console.print(f"quantized: {record['dropped_values']} values dropped, error against float64: "
                      f"{error['max_absolute']:.4g} at most, {error['relative_frobenius']:.4g} relative")
    if not record["mismatches"]:
        ran_on = board_line(record) if "board" in record else record["simulator"]
        console.print(f"every result equals the golden model's ({ran_on}, {record['seconds']:.1f} s)",
                      markup=False)


@app.command()
def bench(matrices: Annotated[
              Path | None, typer.Option(help="folder of matrix files; else made by seed")] = None,
          kernels: Annotated[
              str, typer.Option(help="comma-separated: spmm:32 (32 columns of B), spmv, gemm:64; gemm alone, "
                                     "without --matrices: dense layers from 64x64x64 to 512x768x768; spgemm, "
                                     "spgemm_t (times its transpose), add, sub, mul, mask: of the matrix and "
                                     "itself; sddmm:128, embedding_bag:32, ttm:32, mttkrp:32 (rows of so "
                                     "many values); spmspv, gemv, residual, ttv: with vectors")
          ] = "spmm:128,spmm:32,spmm:8,spmv",
          plans: Annotated[
              bool, typer.Option("--plans", help="measure the other legal plans beside each chosen one")
          ] = False,
          plans_within: Annotated[
              float, typer.Option(help="only plans predicted to take at most so many times the best's cycles")
          ] = 1.25,
          sweep: Annotated[
              bool, typer.Option("--sweep", help="in place of kernels: one layer, 0 to 99 % zeros, dense and "
                                                 "sparse forms")] = False,
          plot: Annotated[Path | None, typer.Option(help="with --sweep: write a .png or .svg")] = None,
          timeline: Annotated[
              Path | None, typer.Option(help="write what each part does over time, for Perfetto or "
                                             "chrome://tracing; a few times slower")] = None,
          out_dtype: OutDtype = "int32", seed: Annotated[int, typer.Option(help="of random values")] = 0,
          preset: Preset = None, config: ConfigFile = None, simulator: Simulator = "auto",
          json_file: JsonFile = None) -> None:
    """Efficiency on a folder of matrices, or on a set of its own; random values in the files' patterns."""
    from zerolane.bench import parse_kernels

    chosen = configuration(preset, config)
    _check_out_dtype(out_dtype)
    check_least(("--seed", seed, 0))
    if not plans_within >= 1:
        raise typer.BadParameter(f"--plans-within {plans_within}; it must be at least 1")
    if sweep and (matrices is not None or plans):
        raise typer.BadParameter("--sweep excludes --matrices and --plans")
    if plot is not None:
        if not sweep:
            raise typer.BadParameter("--plot goes with --sweep")
    if timeline is not None:
        if sweep or plans:
            raise typer.BadParameter("--timeline excludes --sweep and --plans")
        if simulator == "amaranth":
            raise typer.BadParameter("--timeline needs --simulator verilator or icarus")
        simulator = "verilator" if simulator == "auto" else simulator
    check_outputs(("--json", json_file, ()), ("--plot", plot, (".png", ".svg")), ("--timeline", timeline, ()),
                  inputs=[("the configuration", config)])
    wanted = parse_kernels(kernels)

    def progress(text: str) -> None:
        errors.print(f"... {text}", markup=False, style="dim")

    with open_simulated(chosen, simulator, trace=timeline is not None) as device:
        if sweep:
            records = _sweep(device, out_dtype, seed, progress, plot)
        else:
            records = _bench(device, matrices, wanted, out_dtype, seed, progress,
                             plans_within if plans else None, timeline)
    write_json(json_file, records)
    wrong = sum(record["mismatches"] for record in records)
    if wrong:
        fail(f"{wrong} results differ from the golden model", MISMATCH_STATUS)


def _bench(device: Device, matrices: Path | None, kernels: "list[BenchKernel]", out_dtype: str, seed: int,
           progress: Callable[[str], None], plans_within: float | None,
           timeline: Path | None) -> list[dict[str, Any]]:
    from zerolane.bench import bench_rows, summarise
    from zerolane.bench_plans import summarise_plans
    from zerolane.bench_tables import bench_table, plans_table
    from zerolane.timeline import write_timeline

    records, jobs = [], []
    for record in bench_rows(device, matrices, kernels, out_dtype, seed, progress, plans_within):
        records.append(record)
        if timeline is not None and record["cycles"]:
            jobs.append((f"{record['bench_kernel']} {record['matrix']}", device.activity()))
    console.print(bench_table(records))
    lines = summarise(records)
    if plans_within is not None:
        console.print(plans_table(records))
        lines += summarise_plans(records)
    for line in lines:
        console.print(line, markup=False)
    if timeline is not None:
        write_timeline(timeline, jobs)
    return records


def _sweep(device: Device, out_dtype: str, seed: int, progress: Callable[[str], None],
           plot: Path | None) -> list[dict[str, Any]]:
    from zerolane.bench_tables import bench_table, sweep_table
    from zerolane.sweep import plot_sweep, summarise_sweep, sweep_rows

    records = list(sweep_rows(device, out_dtype, seed, progress))
    console.print(bench_table(records))
    console.print(sweep_table(records))
    for line in summarise_sweep(records):
        console.print(line, markup=False)
    if plot is not None:
        plot_sweep(records, plot)
    return records


app.command()(synth)
app.command()(build)
