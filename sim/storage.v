// Words of the simulated memory: one read and one write port, both clocked.
//
// A rising `load` reads memory_load.hex (any number of @address runs), a rising `dump` writes words
// dump_first to dump_last to memory_dump.hex, both in the simulator's working directory. No time passes.

`timescale 1ns / 1ps

module zerolane_storage #(
    parameter DATA_BITS = 128,
    parameter ADDRESS_BITS = 16
) (
    input wire clk,
    input wire read_enable,
    input wire [ADDRESS_BITS-1:0] read_address,
    output reg [DATA_BITS-1:0] read_data,
    input wire write_enable,
    input wire [ADDRESS_BITS-1:0] write_address,
    input wire [DATA_BITS-1:0] write_data,
    input wire [DATA_BITS-1:0] write_mask,
    input wire load,
    input wire dump,
    input wire [31:0] dump_first,
    input wire [31:0] dump_last
);
    reg [DATA_BITS-1:0] words[0:(1 << ADDRESS_BITS)-1];
    integer number;

    // A simulator with unknown values would otherwise read them from memory that nobody wrote.
    initial begin
        read_data = 0;
        for (number = 0; number < (1 << ADDRESS_BITS); number = number + 1) words[number] = 0;
    end

    always @(posedge clk) begin
        if (read_enable) read_data <= words[read_address];
        if (write_enable)
            words[write_address] <= (words[write_address] & ~write_mask) | (write_data & write_mask);
    end

    always @(posedge load) $readmemh("memory_load.hex", words);
    always @(posedge dump) $writememh("memory_dump.hex", words, dump_first, dump_last);
endmodule
