// Clock and reset around the simulated system. The clock runs only while a command of the host runs.
//
// The host sets the command, then makes `start` differ from `finished`; the clock runs until `done`, and
// `finished` becomes `start`. The number of cycles therefore never depends on when the host looks.

`timescale 1ns / 1ps

module zerolane_bench (
    input wire start,
    input wire [1:0] kind,
    input wire [31:0] address,
    input wire [31:0] data,
    input wire [15:0] latency_cycles,
    input wire [11:0] gap_threshold,
    input wire [31:0] seed,
    input wire [31:0] limit_words,
    input wire load,
    input wire dump,
    input wire [31:0] dump_first,
    input wire [31:0] dump_last,
    input wire fault_armed,
    input wire fault_reads,
    input wire fault_writes,
    input wire [4:0] fault_frozen,
    input wire fault_by_address,
    input wire [31:0] fault_first,
    input wire [31:0] fault_last,
    output reg finished,
    output wire [31:0] result,
    output wire [1:0] response,
    output wire timed_out,
    output wire [47:0] cycles,
    output wire [3:0] violation
);
    reg clk;
    reg rst;
    wire done;

    initial begin
        clk = 0;
        rst = 1;
        finished = 0;
    end

    always begin
        wait (start == !finished);
        if (rst) begin
            repeat (2) begin
                #5 clk = 1;
                #5 clk = 0;
            end
            rst = 0;
        end
        #5 clk = 1;
        #5 clk = 0;
        while (!done) begin
            #5 clk = 1;
            #5 clk = 0;
        end
        finished = start;
    end

    zerolane_harness harness (
        .clk(clk), .rst(rst),
        .start(start), .kind(kind), .address(address), .data(data),
        .latency_cycles(latency_cycles), .gap_threshold(gap_threshold), .seed(seed),
        .limit_words(limit_words), .load(load), .dump(dump), .dump_first(dump_first), .dump_last(dump_last),
        .fault_armed(fault_armed), .fault_reads(fault_reads), .fault_writes(fault_writes),
        .fault_frozen(fault_frozen), .fault_by_address(fault_by_address), .fault_first(fault_first),
        .fault_last(fault_last),
        .done(done), .result(result), .response(response), .timed_out(timed_out), .cycles(cycles),
        .violation(violation)
    );
endmodule
