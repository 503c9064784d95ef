// What a bench turns and reads inside of the simulated system, beside the pins of zerolane_bench.
//
// `mutant` chooses a mutation of the array (0: none). The others shape the host's accesses: strobes of a
// write, and for how many cycles each channel of the control port is held back.

`timescale 1ns / 1ps

module zerolane_knobs #(
    parameter RULES = 1
) (
    output reg [15:0] mutant,
    output reg [3:0] strobe,
    output reg [3:0] hold_aw,
    output reg [3:0] hold_w,
    output reg [3:0] hold_b,
    output reg [3:0] hold_ar,
    output reg [3:0] hold_r,
    input wire [RULES-1:0] violation,
    input wire [31:0] signature
);
    initial begin
        mutant = 0;
        strobe = 15;
        hold_aw = 0;
        hold_w = 0;
        hold_b = 0;
        hold_ar = 0;
        hold_r = 0;
    end
endmodule
