// Maps correlated with a weight, one tile of output pixels and channels by a workgroup.
//
// Each output pixel sums over taps and channels of the source. BACK gives the gradient of the source instead: there
// an output pixel is reached through the taps that leave no rest when divided by the stride, so the pixels are taken
// in SIDE x SIDE classes of equal rest, and all of a workgroup skip the same taps.
// A line with $i is repeated for each of a thread's pixels. Lines marked HALF are there where `real` is float16: then each
// slab is summed in it, and the slabs in float32.

alias quad = vec4<real>;

@group(0) @binding(0) var<storage, read_write> maps: array<vec4f>; // [B, HEIGHT, WIDTH, DEPTH4]
@group(0) @binding(1) var<storage, read_write> weight: array<vec4f>; // [K * K, 4 DEPTH4, OUT4]
@group(0) @binding(2) var<storage, read_write> result: array<vec4f>; // [B, OUT_HEIGHT, OUT_WIDTH, OUT4]

var<workgroup> pixels: array<quad, PIXELS * SLAB4>;
var<workgroup> factors: array<quad, 4 * SLAB4 * COLUMNS>;

// Row and column of a class's pixel.
fn place(pixel: u32, class_of: vec2u) -> vec2u {
    return vec2u(pixel / LATTICE_WIDTH, pixel % LATTICE_WIDTH) * SIDE + class_of;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) group: vec3u) {
    let column = thread % COLUMNS;
    let row = thread / COLUMNS;
    let first_pixel = group.x / COLUMN_TILES * PIXELS;
    let first_column = group.x % COLUMN_TILES * COLUMNS;
    let class_of = vec2u(group.z / SIDE, group.z % SIDE);
    var sum$i = vec4f();
    for (var tap = 0u; tap < K * K; tap++) {
        let at = vec2u(tap / K, tap % K);
        if (BACK == 1 && any((class_of + (PAD + STRIDE * K) - at) % STRIDE != vec2u())) {
            continue;
        }
        for (var depth = 0u; depth < DEPTH4; depth += SLAB4) {
            workgroupBarrier();
            for (var index = thread; index < PIXELS * SLAB4; index += THREADS) {
                let pixel = first_pixel + index / SLAB4;
                let out = vec2i(place(pixel, class_of));
                var seen = out * i32(STRIDE) + vec2i(at) - i32(PAD);
                if (BACK == 1) {
                    seen = (out + i32(PAD) - vec2i(at)) / i32(STRIDE);
                }
                var value = vec4f();
                if (pixel < LATTICE && all(seen >= vec2i()) && all(seen < vec2i(HEIGHT, WIDTH))) {
                    let start = ((group.y * HEIGHT + u32(seen.x)) * WIDTH + u32(seen.y)) * DEPTH4;
                    value = maps[start + depth + index % SLAB4];
                }
                value *= f32(SCALE); // HALF
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
    sum$i /= f32(SCALE); // HALF
    write(group.y, first_pixel + row + $i * ROWS, class_of, first_column + column, sum$i);
}

fn write(picture: u32, pixel: u32, class_of: vec2u, column: u32, value: vec4f) {
    let out = place(pixel, class_of);
    if (pixel < LATTICE && all(out < vec2u(OUT_HEIGHT, OUT_WIDTH))) {
        result[((picture * OUT_HEIGHT + out.x) * OUT_WIDTH + out.y) * OUT4 + column] = value;
    }
}
