// Writes what every part does in every cycle of a job to trace.txt, in the simulator's working directory.
//
// A line for each cycle in which something changes: the cycle since the job began, and the activity bits in
// hexadecimal; a last line "end" with the job's cycles. The next job's overwrites it.

`timescale 1ns / 1ps

module zerolane_trace #(
    parameter BITS = 8
) (
    input wire clk,
    input wire running,
    input wire [BITS-1:0] activity
);
    integer file;
    reg was_running;
    reg [BITS-1:0] previous;
    reg [31:0] cycle;

    initial begin
        was_running = 0;
        previous = 0;
        cycle = 0;
    end

    always @(posedge clk) begin
        was_running <= running;
        if (running) begin
            if (!was_running) begin
                file = $fopen("trace.txt", "w");
                $fwrite(file, "0 %h\n", activity);
                cycle <= 1;
            end else begin
                if (activity != previous) $fwrite(file, "%0d %h\n", cycle, activity);
                cycle <= cycle + 1;
            end
            previous <= activity;
        end else if (was_running) begin
            $fwrite(file, "end %0d\n", cycle);
            $fclose(file);
        end
    end
endmodule
