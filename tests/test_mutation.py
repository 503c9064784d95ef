"""tests.verification.mutation: mutants are made of all blocks, killed by jobs, or proven equivalent."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from hdl.config import Config
from tests.simulators import need
from tests.verification.corpus import finishes, registers
from tests.verification.mutants import Mutant, block_of, read_array
from tests.verification.mutation import Outcome, campaign, kill_rate
from tests.verification.proofs import prove_related, prove_unobservable
from tests.verification.system import ARRAY
from tests.verification.yosys import run_yosys

SMALLEST = Config(name="smallest", pes=2, lanes=2, port_bytes=4, tile_bytes=256, beat_tokens=2, acc_words=16,
                  chains=1, queue_beats=4, row_queue_rows=16, read_buffer_beats=32, compressed_b=False,
                  scale_multipliers=1)

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


def with_cells(mutant: Mutant, directory: Path, read: str, module: str = f"{ARRAY}_block") -> Mutant:
    """Yosys numbers cells after the line: look the whole name up."""
    prefix = mutant.place
    names = run_yosys(f"{read}select -list {module}/c:*\n", directory, "names").split()
    name = next(name.partition("/")[2] for name in names if name.partition("/")[2].startswith(prefix))
    return Mutant(mutant.number, mutant.block, mutant.module, mutant.command.replace(prefix, name), name)


def test_a_bit_that_nobody_reads_is_proven_unobservable_and_another_is_not(tmp_path: Path) -> None:
    read = toy(tmp_path)
    unread = with_cells(toy_mutant(1, "inv", 3, "Y", 3, "or"), tmp_path, read)
    read_bit = with_cells(toy_mutant(2, "inv", 3, "Y", 0, "or"), tmp_path, read)
    assert prove_unobservable([unread, read_bit], read, tmp_path) == {1: "unobservable"}


@dataclass(frozen=True)
class Change:
    """A mutant of a text that is too small for Yosys's list: a bit of a wire that is inverted or constant."""

    mode: str
    line: int
    kind: str
    bit: int = 0


PAYLOAD = f"""module {ARRAY}(input clk, input rst, input i__valid, input [3:0] i__payload,
    output reg o__valid, output [3:0] o__payload, output reg [1:0] level);
  reg [3:0] held;
  initial {{o__valid, held, level}} = 0;
  wire [3:0] cleared = rst ? 4'd0 : held;
  always @(posedge clk) begin
    o__valid <= i__valid & ~rst;
    held <= (i__valid & ~rst) ? i__payload : cleared;
  end
  assign o__payload = held;
  wire [1:0] next = level + 2'd1;
  wire full = level == 2'd2;
  wire over = level == 2'd3;
  wire [1:0] after = over ? 2'd2 : next;
  always @(posedge clk) level <= (rst | full) ? 2'd0 : after;
endmodule
"""


def proof_of(change: Change, directory: Path, text: str = PAYLOAD) -> str:
    """What the relation's search says of one change of the text."""
    (directory / "array.v").write_text(text)
    read = f"read_verilog array.v\nhierarchy -top {ARRAY}\nproc\n"
    cell = f"${change.kind}$array.v:{change.line}$"
    mutant = Mutant(1, "", ARRAY, f"mutate -mode {change.mode} -module {ARRAY} -cell {cell} -port Y "
                    f"-portbit {change.bit}", cell)
    mutant = with_cells(mutant, directory, read, ARRAY)
    return prove_related([mutant], read, directory).get(1, "")


def test_a_payload_may_differ_while_its_valid_is_low(tmp_path: Path) -> None:
    assert proof_of(Change("inv", 5, "ternary"), tmp_path) == "related"


def test_a_payload_may_not_differ_while_its_valid_is_high(tmp_path: Path) -> None:
    assert proof_of(Change("inv", 8, "ternary"), tmp_path) == ""


def test_states_that_are_never_reached_may_differ(tmp_path: Path) -> None:
    assert proof_of(Change("const0", 13, "eq"), tmp_path) == "related, with bounds"


def test_states_that_are_reached_may_not_differ(tmp_path: Path) -> None:
    for change in (Change("inv", 11, "add", 1), Change("const0", 12, "eq"), Change("const1", 13, "eq")):
        assert proof_of(change, tmp_path) == "", change


def test_modules_that_are_alike_are_one_block() -> None:
    assert block_of(f"{ARRAY}_pe.accumulator3") == "pe.accumulator"
    assert block_of(f"{ARRAY}.core.collector.path.emitter_1.queue") == "core.collector.path.emitter.queue"
    assert block_of(ARRAY) == "top"


def test_what_is_proven_does_not_count_and_what_survives_does() -> None:
    mutant = Mutant(1, "block", "block", "", "")
    outcomes = [Outcome("c", mutant, "job: memory", ""), Outcome("c", mutant, "", "unobservable"),
                Outcome("c", mutant, "", "")]
    assert kill_rate(outcomes) == 0.5


PROOF_SECONDS = 2
"""Of computing, for each kind of proof: most relations that there are, are found in less."""


@pytest.mark.slow
@pytest.mark.verilator
@pytest.mark.timeout(3600)
def test_a_short_campaign_kills_nearly_all_mutants(tmp_path: Path) -> None:
    """Of the smallest array, one of each block, by two jobs of the corpus."""
    need("verilator")
    outcomes = campaign(SMALLEST, 0, 3, tmp_path, random_jobs=0, processes=1, report=lambda text: None,
                        jobs=(finishes, registers), proof_seconds=PROOF_SECONDS)
    assert len({outcome.mutant.block for outcome in outcomes}) > 10
    assert kill_rate(outcomes) > 0.7
    # No proof says of a mutant that was killed that it is equivalent.
    killed = [outcome.mutant for outcome in outcomes if outcome.killed_by][:8]
    read = read_array(SMALLEST, tmp_path)
    assert prove_related(killed, read, tmp_path, seconds=PROOF_SECONDS) == {}
    assert prove_unobservable(killed, read, tmp_path) == {}
    shutil.rmtree(tmp_path)
