"""tests.verification.mutation: mutants are made of all blocks, killed by jobs, or proven equivalent."""

import shutil
from pathlib import Path

import pytest

from hdl.config import Config
from tests.simulators import need
from tests.verification.corpus import finishes, registers
from tests.verification.mutants import Mutant, block_of
from tests.verification.mutation import Outcome, campaign, kill_rate
from tests.verification.proofs import holders, prove_inductive, prove_unobservable
from tests.verification.system import ARRAY

SMALLEST = Config(name="smallest", pes=2, lanes=2, port_bytes=4, tile_bytes=256, beat_tokens=2, acc_words=16,
                  chains=1, queue_beats=4, row_queue_rows=16, read_buffer_beats=32, compressed_b=False,
                  scale_multipliers=0)

TOY = f"""module {ARRAY}_block(input clk, input rst, input [3:0] i, input [3:0] j, output reg [3:0] o);
  wire [3:0] seen = i & j;
  wire [3:0] both = i | seen;
  always @(posedge clk) o <= rst ? 4'd0 : both;
endmodule
module {ARRAY}(input clk, input rst, input [3:0] i, input [3:0] j, output [2:0] o);
  wire [3:0] all;
  {ARRAY}_block block (
    .clk(clk), .rst(rst), .i(i), .j(j), .o(all)
  );
  assign o = all[2:0];
endmodule
"""


def toy(directory: Path) -> str:
    (directory / "array.v").write_text(TOY)
    return f"read_verilog array.v\nhierarchy -top {ARRAY}\nproc\n"


def toy_mutant(number: int, mode: str, line: int, port: str, bit: int, kind: str) -> Mutant:
    cell = f"${kind}$array.v:{line}$"
    return Mutant(number, "block", f"{ARRAY}_block",
                  f"mutate -mode {mode} -module {ARRAY}_block -cell {cell} -port {port} -portbit {bit}", cell)


def with_cells(mutant: Mutant, directory: Path, read: str) -> Mutant:
    """Yosys numbers cells after the line: look the whole name up."""
    from tests.verification.yosys import run_yosys

    prefix = mutant.place
    names = run_yosys(f"{read}select -list {ARRAY}_block/c:*\n", directory, "names").split()
    name = next(name.partition("/")[2] for name in names if name.partition("/")[2].startswith(prefix))
    return Mutant(mutant.number, mutant.block, mutant.module, mutant.command.replace(prefix, name), name)


def test_a_bit_that_nobody_reads_is_proven_unobservable_and_another_is_not(tmp_path: Path) -> None:
    read = toy(tmp_path)
    unread = with_cells(toy_mutant(1, "inv", 3, "Y", 3, "or"), tmp_path, read)
    read_bit = with_cells(toy_mutant(2, "inv", 3, "Y", 0, "or"), tmp_path, read)
    assert prove_unobservable([unread, read_bit], read, tmp_path) == {1: "unobservable"}


def test_a_redundant_gate_is_proven_by_induction_and_a_needed_one_is_not(tmp_path: Path) -> None:
    read = toy(tmp_path)
    redundant = with_cells(toy_mutant(1, "const0", 2, "Y", 0, "and"), tmp_path, read)
    needed = with_cells(toy_mutant(2, "const1", 2, "Y", 0, "and"), tmp_path, read)
    assert prove_inductive(redundant, read, tmp_path) == "inductive in block"
    assert prove_inductive(needed, read, tmp_path) == ""


def test_modules_around_a_module_are_found() -> None:
    assert holders(f"{ARRAY}_block", TOY) == [f"{ARRAY}_block"]


def test_modules_that_are_alike_are_one_block() -> None:
    assert block_of(f"{ARRAY}_pe.accumulator3") == "pe.accumulator"
    assert block_of(f"{ARRAY}.core.collector.path.emitter_1.queue") == "core.collector.path.emitter.queue"
    assert block_of(ARRAY) == "top"


def test_what_is_proven_does_not_count_and_what_survives_does() -> None:
    mutant = Mutant(1, "block", "block", "", "")
    outcomes = [Outcome("c", mutant, "job: memory", ""), Outcome("c", mutant, "", "unobservable"),
                Outcome("c", mutant, "", "")]
    assert kill_rate(outcomes) == 0.5


@pytest.mark.slow
@pytest.mark.verilator
def test_a_short_campaign_kills_nearly_all_mutants(tmp_path: Path) -> None:
    """Of the smallest array, by two jobs of the corpus."""
    need("verilator")
    outcomes = campaign(SMALLEST, 12, 3, tmp_path, random_jobs=0, processes=1, report=lambda text: None,
                        jobs=(finishes, registers))
    assert len({outcome.mutant.block for outcome in outcomes}) > 10
    assert kill_rate(outcomes) > 0.7
    shutil.rmtree(tmp_path)
