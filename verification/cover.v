// A functional coverage point: counted in each cycle in which it is hit.

`timescale 1ns / 1ps

module zerolane_cover (
    input wire clk,
    input wire rst,
    input wire hit
);
    cover property (@(posedge clk) hit && !rst);
endmodule
