"""tests.verification.mutation: mutants are made of all blocks, killed by jobs, or proven equivalent."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from hdl.config import Config
from tests.simulators import need
from tests.verification.corpus import finishes, registers
from tests.verification.gates import FALSE, TRUE, Graph
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
    port: str = "Y"


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


STORED = f"""module {ARRAY}(input clk, input write, input [1:0] to, input [1:0] from, input [3:0] other,
    input i__valid, input [3:0] i__payload, output memory__w__valid, output [8:0] memory__w__payload);
  reg [4:0] words [3:0];
  wire [3:0] rest = other + 4'd1;
  wire [3:0] stored = i__valid ? i__payload : rest;
  wire [4:0] word = words[from];
  always @(posedge clk) if (write) words[to] <= {{i__valid, stored}};
  assign memory__w__valid = 1'd1;
  assign memory__w__payload = {{word[4], other, word[3:0]}};
endmodule
"""

STARTED = f"""module {ARRAY}_block(input clk, input resettable_rst, input i_start, input [3:0] i_from,
    input push, output [3:0] o);
  reg running;
  reg [11:0] level;
  reg [3:0] place;
  initial {{running, level, place}} = 0;
  wire [3:0] first = resettable_rst ? 4'd0 : place;
  wire [3:0] next = i_start ? i_from : first;
  always @(posedge clk) begin
    running <= ~resettable_rst & i_start;
    place <= next;
    level <= resettable_rst ? 12'd0 : level + (running & push);
  end
  assign o = level[11] ? place : 4'd0;
endmodule
module {ARRAY}(input clk, input rst, input i_start, input [3:0] i_from, input push, output [3:0] o);
  {ARRAY}_block block (
    .clk(clk), .resettable_rst(rst), .i_start(i_start), .i_from(i_from), .push(push), .o(o)
  );
endmodule
"""


def proof_of(change: Change, directory: Path, text: str = PAYLOAD, module: str = ARRAY) -> str:
    """What the relation's search says of one change of the text."""
    (directory / "array.v").write_text(text)
    read = f"read_verilog array.v\nhierarchy -top {ARRAY}\nproc\nmemory_collect\n"
    cell = f"${change.kind}$array.v:{change.line}$"
    mutant = Mutant(1, "", module, f"mutate -mode {change.mode} -module {module} -cell {cell} "
                    f"-port {change.port} -portbit {change.bit}", cell)
    mutant = with_cells(mutant, directory, read, module)
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


def test_stored_bits_may_differ_while_a_bit_beside_them_is_0(tmp_path: Path) -> None:
    rest, both = Change("inv", 4, "add"), Change("inv", 5, "ternary")
    shown = STORED.replace("{word[4], other, word[3:0]}", "{1'd1, other, word[3:0] & {4{word[4]}}}")
    assert proof_of(rest, tmp_path, shown) == "related"
    assert proof_of(both, tmp_path, shown) == ""
    assert proof_of(rest, tmp_path, shown.replace("{4{word[4]}}", "{4{!word[4]}}")) == ""


def test_bytes_written_without_strobe_may_differ_and_others_may_not(tmp_path: Path) -> None:
    rest = Change("inv", 4, "add")
    assert proof_of(rest, tmp_path, STORED) == "related"
    assert proof_of(rest, tmp_path, STORED.replace("{word[4], other", "{write, other")) == ""
    assert proof_of(Change("inv", 5, "ternary"), tmp_path, STORED) == ""


def test_stored_bits_may_not_differ_for_a_bit_that_is_written_alone(tmp_path: Path) -> None:
    alone = STORED.replace("if (write) words[to] <= {i__valid, stored};",
                           "begin if (write) words[to][3:0] <= stored; "
                           "if (other[0]) words[to][4] <= i__valid; end")
    assert alone != STORED
    assert proof_of(Change("inv", 4, "add"), tmp_path, alone) == ""


def test_a_graph_knows_that_a_literal_equals_itself() -> None:
    graph = Graph()
    a, b = graph.variable(), graph.variable()
    assert (graph.xor(a, a), graph.xor(a, a ^ 1), graph.xor(a ^ 1, a ^ 1)) == (FALSE, TRUE, FALSE)
    assert graph.same([a, b], [a, b]) == TRUE and graph.same([a], [b]) not in (FALSE, TRUE)


def test_what_is_read_after_a_start_only_may_differ_before_it(tmp_path: Path) -> None:
    block = f"{ARRAY}_block"
    assert proof_of(Change("inv", 7, "ternary", port="B"), tmp_path, STARTED, block) == "related, with starts"
    assert proof_of(Change("inv", 8, "ternary"), tmp_path, STARTED, block) == ""
    assert proof_of(Change("inv", 7, "ternary", port="A"), tmp_path, STARTED, block) == ""
    # A level that counts before any start.
    early = STARTED.replace("(running & push)", "push")
    assert proof_of(Change("inv", 7, "ternary", port="B"), tmp_path, early, block) == ""


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
