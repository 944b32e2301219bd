// Correlation of feature maps with a weight. A workgroup computes one tile of output pixels and
// output channels.
//
// Each output pixel is a sum over taps (positions of the kernel) and source channels. With BACKWARD the source is the
// gradient of the output and the result is the gradient of the input. Then only some taps contribute to a pixel: those
// for which the source position is a whole number after division by the stride. The pixels are divided into PHASES x
// PHASES phases with equal coordinates modulo the stride, so that all threads of a workgroup skip the same taps.
//
// shader.rs repeats a line with $i for each pixel of a thread. Lines that end in HALF are present only if `real` is
// float16: then each slab is summed in float16, and the slabs in float32.

alias quad = vec4<real>;

@group(0) @binding(0) var<storage, read_write> maps: array<vec4f>; // [B, HEIGHT, WIDTH, DEPTH4]
@group(0) @binding(1) var<storage, read_write> weight: array<vec4f>; // [K * K, 4 DEPTH4, OUT4]
@group(0) @binding(2) var<storage, read_write> result: array<vec4f>; // [B, OUT_HEIGHT, OUT_WIDTH, OUT4]

var<workgroup> pixels: array<quad, PIXELS * SLAB4>;
var<workgroup> factors: array<quad, 4 * SLAB4 * COLUMNS>;

// Row and column in the image of a pixel of a phase.
fn position(pixel: u32, phase: vec2u) -> vec2u {
    return vec2u(pixel / PHASE_WIDTH, pixel % PHASE_WIDTH) * PHASES + phase;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) group: vec3u) {
    let column = thread % COLUMNS;
    let row = thread / COLUMNS;
    let first_pixel = group.x / COLUMN_TILES * PIXELS;
    let first_column = group.x % COLUMN_TILES * COLUMNS;
    let phase = vec2u(group.z / PHASES, group.z % PHASES);
    var sum$i = vec4f();
    for (var tap = 0u; tap < K * K; tap++) {
        let offset = vec2u(tap / K, tap % K);
        if (BACKWARD == 1 && any((phase + (PAD + STRIDE * K) - offset) % STRIDE != vec2u())) {
            continue;
        }
        for (var depth = 0u; depth < DEPTH4; depth += SLAB4) {
            workgroupBarrier();
            for (var index = thread; index < PIXELS * SLAB4; index += THREADS) {
                let pixel = first_pixel + index / SLAB4;
                let out = vec2i(position(pixel, phase));
                var source = out * i32(STRIDE) + vec2i(offset) - i32(PAD);
                if (BACKWARD == 1) {
                    source = (out + i32(PAD) - vec2i(offset)) / i32(STRIDE);
                }
                var value = vec4f();
                if (pixel < PHASE_PIXELS && all(source >= vec2i()) && all(source < vec2i(HEIGHT, WIDTH))) {
                    let start = ((group.y * HEIGHT + u32(source.x)) * WIDTH + u32(source.y)) * DEPTH4;
                    value = maps[start + depth + index % SLAB4];
                }
                value *= f32(LOSS_SCALE); // HALF
                pixels[index] = quad(value);
            }
            for (var index = thread; index < 4 * SLAB4 * COLUMNS; index += THREADS) {
                let start = (tap * 4 * DEPTH4 + 4 * depth + index / COLUMNS) * OUT4;
                factors[index] = quad(weight[start + first_column + index % COLUMNS]);
            }
            workgroupBarrier();
            var part_sum$i = quad(); // HALF
            for (var k = 0u; k < SLAB4; k++) {
                let x = factors[4 * k * COLUMNS + column];
                let y = factors[(4 * k + 1) * COLUMNS + column];
                let z = factors[(4 * k + 2) * COLUMNS + column];
                let w = factors[(4 * k + 3) * COLUMNS + column];
                let pixel$i = pixels[(row + $i * ROWS) * SLAB4 + k];
                PART_sum$i = pixel$i.x * x + PART_sum$i;
                PART_sum$i = pixel$i.y * y + PART_sum$i;
                PART_sum$i = pixel$i.z * z + PART_sum$i;
                PART_sum$i = pixel$i.w * w + PART_sum$i;
            }
            sum$i += vec4f(part_sum$i); // HALF
        }
    }
    sum$i /= f32(LOSS_SCALE); // HALF
    write(group.y, first_pixel + row + $i * ROWS, phase, first_column + column, sum$i);
}

fn write(image: u32, pixel: u32, phase: vec2u, column: u32, value: vec4f) {
    let out = position(pixel, phase);
    if (pixel < PHASE_PIXELS && all(out < vec2u(OUT_HEIGHT, OUT_WIDTH))) {
        result[((image * OUT_HEIGHT + out.x) * OUT_WIDTH + out.y) * OUT4 + column] = value;
    }
}
