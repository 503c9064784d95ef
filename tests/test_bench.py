"""`zerolane bench`: plans side by side, the sweep over zeros, dense layers; on the model of the device."""

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from rich.console import Console

from hdl.config import PRESETS
from hdl.registers import register
from tests.device_model import DeviceModel
from zerolane import cli, workloads
from zerolane.bench import bench_rows, parse_kernels, summarise
from zerolane.bench_plans import compare_plans, summarise_plans
from zerolane.bench_tables import bench_table
from zerolane.cli_shared import PIPED_WIDTH
from zerolane.device import Device
from zerolane.kernel_work import NamedKernel, einsum_of_entries
from zerolane.pattern_kernels import PATTERN_KERNELS, folded, pattern_kernel
from zerolane.report import Request, run_kernel, run_request
from zerolane.sweep import FORMS, ZEROS, plot_sweep, summarise_sweep, sweep_rows
from zerolane.work import Kernel, WorkError, pattern_work

CONFIG = PRESETS["base"]


def quiet(text: str) -> None:
    pass


@pytest.fixture
def device() -> Device:
    return Device(CONFIG, DeviceModel(CONFIG))


@pytest.fixture
def model_everywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every simulator is the model, and the test runs in a folder of its own."""
    def opened(name, config, *, memory_bytes, **settings):
        return DeviceModel(config, memory_bytes)

    monkeypatch.setattr("zerolane.device.open_simulator", opened)
    monkeypatch.chdir(tmp_path)


def zerolane(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Exit status of the command line."""
    monkeypatch.setattr("sys.argv", ["zerolane", *arguments])
    try:
        cli.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def a_request(seed: int = 1) -> Request:
    pattern = sp.random_array((96, 80), density=0.2, format="csr", rng=np.random.default_rng(seed))
    return Request(pattern_work(Kernel.SPMM, "random", (pattern != 0).astype(np.int8), 40, seed), "int32")


@pytest.mark.parametrize("within", [1.0, 1.3])
def test_every_plan_within_the_limit_is_run_and_right(device: Device, within: float) -> None:
    request = a_request()
    record = run_request(device, request).record
    result = compare_plans(device, request, record, within, quiet)
    legal = device.plans(request.work.a, request.work.b)
    assert len(result["plans"]) == sum(plan.cycles <= within * legal[0].cycles for plan in legal)
    assert result["legal_plans"] == len(legal) and result["mismatches"] == 0
    assert [entry["plan"] for entry in result["plans"]] == [
        plan.label() for plan in legal[:len(result["plans"])]]


def test_a_choice_that_is_slower_than_another_plan_is_told(device: Device,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    request = a_request()
    record = run_request(device, request).record
    took = iter([950, *[2000] * 50])
    original = DeviceModel._run

    def timed(self) -> None:
        original(self)
        self._registers[register("CYCLES").address] = next(took)

    monkeypatch.setattr(DeviceModel, "_run", timed)
    result = compare_plans(device, request, {**record, "bench_kernel": "spmm:40"}, 1.3, quiet)
    assert result["best_cycles"] == 950
    assert result["choice_excess"] == pytest.approx(1000 / 950 - 1)
    lines = summarise_plans([{**record, "bench_kernel": "spmm:40", **result}])
    assert "0 of 1" in lines[0] and "5.3% slower" in lines[1]




def test_gemm_alone_means_dense_layers_and_with_columns_the_patterns(
        device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workloads, "LAYER_SHAPES", ((8, 8, 8), (16, 8, 24)))
    records = list(bench_rows(device, None, parse_kernels("gemm"), "int8", 0, quiet))
    assert [record["shape"] for record in records] == [[8, 8, 8], [16, 8, 24]]
    assert {record["bench_kernel"] for record in records} == {"gemm"}
    assert all(record["mismatches"] == 0 for record in records)
    assert [str(kernel) for kernel in parse_kernels("gemm:64,gemm,spmm")] == ["gemm:64", "gemm", "spmm:128"]


def test_the_dense_layers_reach_from_64_to_768() -> None:
    shapes = {name: (*pattern.shape, columns) for name, pattern, columns in workloads.layer_patterns()}
    assert shapes["64x64x64"] == (64, 64, 64) and shapes["512x768x768"] == (512, 768, 768)


def test_gemm_is_summed_up_from_256_cubed_up() -> None:
    records = [{"bench_kernel": "gemm", "matrix": str(side), "shape": [side] * 3, "passes": 1,
                "efficiency": efficiency} for side, efficiency in ((64, 0.8), (256, 0.97), (512, 0.99))]
    lines = summarise(records)
    assert any("from 256x256x256 up: 2 products" in line and "worst 0.970" in line for line in lines)


def test_a_sweep_has_every_form_at_every_share_of_zeros(device: Device) -> None:
    records = list(sweep_rows(device, "int32", 0, quiet, side=32, columns=16))
    assert {(record["form"], record["zeros"]) for record in records} == {
        ("dense", 0.0), *((form, zeros) for form in FORMS[1:] for zeros in ZEROS)}
    assert all(record["mismatches"] == 0 for record in records)
    nnz = {(record["form"], record["zeros"]): record["nnz"] for record in records}
    assert nnz["dense", 0.0] == 32 * 32
    assert nnz["CSR", 0.75] == nnz["dense with zeros", 0.75] == 32 * 32 // 4
    assert len(summarise_sweep(records)) == 2


def test_a_sweep_becomes_a_picture(device: Device, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot_sweep(list(sweep_rows(device, "int32", 0, quiet, side=16, columns=8)), tmp_path / "sweep.png")
    assert (tmp_path / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_bench_plans_prints_the_plans_and_writes_them(
        model_everywhere: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    Path("m").mkdir()
    sp.save_npz("m/one.npz", sp.csr_array(np.eye(24, dtype=np.int8)))
    assert zerolane(monkeypatch, "bench", "--matrices", "m", "--kernels", "spmm:16", "--plans",
                    "--plans-within", "1.5", "--json", "r.json") == 0
    (record,) = json.loads(Path("r.json").read_text())
    assert len(record["plans"]) > 1 and record["choice_excess"] == 0
    printed = capsys.readouterr().out
    assert "1 of 1" in printed and "over best" in printed


def test_a_piped_table_is_not_cut(capsys: pytest.CaptureFixture) -> None:
    record = {"bench_kernel": "spmm:128", "matrix": "dlmc_transformer_magnitude_0.9_enc0_ffn1_2048x512",
              "shape": [2048, 512, 128], "nnz": 104858, "cycles": 1_234_567, "token_cycles": 1.0,
              "memory_cycles": 2.0, "efficiency": 0.5, "mismatches": 0,
              "counters": {name: 7 for name in ("busy", "wait_tile", "wait_collector", "wait_memory",
                                                "wait_a", "drain", "command")}}
    console = Console(width=PIPED_WIDTH)
    console.print(bench_table([record]))
    printed = capsys.readouterr().out
    assert record["matrix"] in printed and "1,234,567" in printed and "command" in printed


@pytest.mark.parametrize("arguments, reason", [
    (["--plot", "x.png"], "--sweep"),
    (["--sweep", "--plans"], "--sweep excludes"),
    (["--plans", "--plans-within", "0.5"], "--plans-within 0.5"),
    (["--seed", "-1"], "--seed -1"),
])
def test_options_that_do_not_go_together_are_wrong_usage(
        model_everywhere: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture,
        arguments: list[str], reason: str) -> None:
    assert zerolane(monkeypatch, "bench", *arguments) == 2
    assert reason in capsys.readouterr().err


def test_kernels_of_one_pattern_are_known_by_name_and_have_no_columns() -> None:
    names = ["spgemm", "spgemm_t", "add", "mul"]
    assert [str(kernel) for kernel in parse_kernels("spgemm, spgemm_t,add,mul")] == names
    with pytest.raises(WorkError, match="add makes its other operands of the first"):
        parse_kernels("add:4")


def test_the_other_operand_is_the_first_with_its_columns_shifted() -> None:
    pattern = sp.csr_array(np.array([[1, 0, 1], [0, 1, 0]], np.int8))
    work = pattern_kernel(NamedKernel.ADD, "p", pattern, 3)
    a, b = (work.operands[name].toarray() for name in "ab")
    np.testing.assert_array_equal(b, np.roll(a, 1, axis=1))
    assert (a != 0).sum() == 3
    product = pattern_kernel(NamedKernel.SPGEMM, "p", pattern, 3)
    assert product.operands["b"].shape == (3, 2)


def test_kernels_with_dense_operands_have_a_length_of_rows() -> None:
    words = "embedding_bag,embedding_bag:7,ttm:4,mttkrp"
    assert [str(kernel) for kernel in parse_kernels(words)] == [
        "embedding_bag:32", "embedding_bag:7", "ttm:4", "mttkrp:32"]


def test_sddmm_has_a_length_of_its_rows() -> None:
    assert [str(kernel) for kernel in parse_kernels("sddmm,sddmm:64")] == ["sddmm:128", "sddmm:64"]
    pattern = sp.csr_array(np.array([[1, 0, 1], [0, 1, 0]], np.int8))
    work = pattern_kernel(NamedKernel.SDDMM, "p", pattern, 3, 64)
    assert [work.operands[name].shape for name in "abd"] == [(2, 3), (2, 64), (64, 3)]
    s, a, b = (work.operands[name].astype(np.int64) for name in "abd")
    np.testing.assert_array_equal(work.expected().toarray(), s.toarray() * (a @ b))


@pytest.mark.parametrize("kernel", PATTERN_KERNELS)
def test_every_kernel_of_a_pattern_runs_and_is_right(device: Device, kernel: NamedKernel) -> None:
    pattern = sp.random_array((24, 37), density=0.2, format="csr", rng=np.random.default_rng(4))
    work = pattern_kernel(kernel, "p", (pattern != 0).astype(np.int8), 5, 6)
    record = run_kernel(device, work).record
    assert record["mismatches"] == 0 and record["kernel"] == kernel
    for name, operand in work.operands.items():
        assert operand.size, name


def test_a_folded_matrix_has_all_of_its_columns_in_two_dimensions() -> None:
    matrix = sp.random_array((5, 37), density=0.5, rng=np.random.default_rng(1))
    tensor = folded(sp.csr_array(matrix))
    assert tensor.shape == (5, 5, 8)
    np.testing.assert_array_equal(tensor.toarray().reshape(5, 40)[:, :37], matrix.toarray())


@pytest.mark.parametrize("text, others", [
    ("ij,j->i", [(7,)]), ("i,i->", [(5,)]), ("ijk,i->jk", [(5,)]), ("ijk,ir->rjk", [(5, 3)]),
    ("ijk,jr->irk", [(7, 3)]), ("ijk,jr,kr->ir", [(7, 3), (4, 3)]), ("ijk,ir,jr->kr", [(5, 3), (7, 3)])])
def test_entries_give_what_dense_tensors_give(text: str, others: list[tuple[int, ...]]) -> None:
    rng = np.random.default_rng(2)
    shape = (5, 7, 4)[:len(text.split(",")[0])]
    coordinates = tuple(rng.integers(0, size, 40) for size in shape)     # duplicates among them
    first = sp.coo_array((rng.integers(-128, 128, 40).astype(np.int8), coordinates), shape=shape)
    dense = np.zeros(shape, np.int64)
    np.add.at(dense, coordinates, first.data)
    factors = [rng.integers(-128, 128, size).astype(np.int8) for size in others]
    np.testing.assert_array_equal(einsum_of_entries(text, first, *factors),
                                  np.einsum(text, dense, *(factor.astype(np.int64) for factor in factors)))


def test_a_matrix_times_its_transpose_is_one_even_where_it_is_square() -> None:
    pattern = sp.csr_array(np.array([[0, 1], [0, 1]], np.int8))
    work = pattern_kernel(NamedKernel.SPGEMM_T, "p", pattern, 3)
    a, b = (work.operands[name].toarray() for name in "ab")
    np.testing.assert_array_equal(a.T, b)
