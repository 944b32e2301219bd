// Weight gradient of a convolution: for each tap (position of the kernel), input channel and output channel, the sum
// over pixels of the input at the tap times the gradient of the output.
//
// A workgroup computes a tile of rows (taps and input channels) by columns (output channels) for IMAGES images. Another
// pass adds the parts of the batch. shader.rs repeats a line with $i for each group of four rows of a thread. Lines
// that end in HALF are present only if `real` is float16: then the pixels in workgroup memory are summed in float16,
// and those sums in float32.

alias quad = vec4<real>;

@group(0) @binding(0) var<storage, read_write> maps: array<vec4f>; // [B, HEIGHT, WIDTH, DEPTH4]
@group(0) @binding(1) var<storage, read_write> gradient: array<vec4f>; // [B, OUT_HEIGHT, OUT_WIDTH, OUT4]
@group(0) @binding(2) var<storage, read_write> result: array<vec4f>; // [parts, K * K * 4 DEPTH4, OUT4]

var<workgroup> inputs: array<quad, PIXELS * ROWS4>;
var<workgroup> gradients: array<quad, PIXELS * COLUMNS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) group: vec3u) {
    let column = thread % COLUMNS;
    let row = thread / COLUMNS * ROWS_PER_THREAD;
    let first_row = group.x / COLUMN_TILES * ROWS4;
    let first_column = group.x % COLUMN_TILES * COLUMNS;
    var x$i = vec4f();
    var y$i = vec4f();
    var z$i = vec4f();
    var w$i = vec4f();
    for (var image = group.z * IMAGES; image < (group.z + 1) * IMAGES; image++) {
        for (var first = 0u; first < OUT_HEIGHT * OUT_WIDTH; first += PIXELS) {
            workgroupBarrier();
            for (var index = thread; index < PIXELS * ROWS4; index += THREADS) {
                let out = first + index / ROWS4;
                let tap = (first_row + index % ROWS4) / DEPTH4;
                let channel = (first_row + index % ROWS4) % DEPTH4;
                let source = vec2i(vec2u(out / OUT_WIDTH, out % OUT_WIDTH) * STRIDE + vec2u(tap / K, tap % K)) - i32(PAD);
                var value = vec4f();
                if (out < OUT_HEIGHT * OUT_WIDTH && all(source >= vec2i()) && all(source < vec2i(HEIGHT, WIDTH))) {
                    value = maps[((image * HEIGHT + u32(source.x)) * WIDTH + u32(source.y)) * DEPTH4 + channel];
                }
                inputs[index] = quad(value);
            }
            for (var index = thread; index < PIXELS * COLUMNS; index += THREADS) {
                let out = first + index / COLUMNS;
                var value = vec4f();
                if (out < OUT_HEIGHT * OUT_WIDTH) {
                    value = gradient[(image * OUT_HEIGHT * OUT_WIDTH + out) * OUT4 + first_column + index % COLUMNS];
                }
                value *= f32(LOSS_SCALE); // HALF
                gradients[index] = quad(value);
            }
            workgroupBarrier();
            var part_x$i = quad(); // HALF
            var part_y$i = quad(); // HALF
            var part_z$i = quad(); // HALF
            var part_w$i = quad(); // HALF
            for (var pixel = 0u; pixel < PIXELS; pixel++) {
                let dy = gradients[pixel * COLUMNS + column];
                let input$i = inputs[pixel * ROWS4 + row + $i];
                PART_x$i = input$i.x * dy + PART_x$i;
                PART_y$i = input$i.y * dy + PART_y$i;
                PART_z$i = input$i.z * dy + PART_z$i;
                PART_w$i = input$i.w * dy + PART_w$i;
            }
            x$i += vec4f(part_x$i) / f32(LOSS_SCALE); // HALF
            y$i += vec4f(part_y$i) / f32(LOSS_SCALE); // HALF
            z$i += vec4f(part_z$i) / f32(LOSS_SCALE); // HALF
            w$i += vec4f(part_w$i) / f32(LOSS_SCALE); // HALF
        }
    }
    write(group.z, 4 * (first_row + row + $i), first_column + column, x$i, y$i, z$i, w$i);
}

fn write(part: u32, row: u32, column: u32, x: vec4f, y: vec4f, z: vec4f, w: vec4f) {
    let start = (part * K * K * 4 * DEPTH4 + row) * OUT4 + column;
    result[start] = x;
    result[start + OUT4] = y;
    result[start + 2 * OUT4] = z;
    result[start + 3 * OUT4] = w;
}
