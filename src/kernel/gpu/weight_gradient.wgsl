// The gradient of a weight: for each tap, channel and output channel the sum over pixels of what the tap sees times
// the gradient of the output. A workgroup has a tile of taps and channels (rows) by output channels (columns), and some
// of the pictures; the parts are added afterwards. A line with $i is repeated for each four of a thread's rows.
// Lines marked HALF are there where `real` is float16: then the pixels that are in memory at once are summed in it, and
// those sums in float32.

alias quad = vec4<real>;

@group(0) @binding(0) var<storage, read_write> maps: array<vec4f>; // [B, HEIGHT, WIDTH, DEPTH4]
@group(0) @binding(1) var<storage, read_write> gradient: array<vec4f>; // [B, OUT_HEIGHT, OUT_WIDTH, OUT4]
@group(0) @binding(2) var<storage, read_write> result: array<vec4f>; // [parts, K * K * 4 DEPTH4, OUT4]

var<workgroup> seen: array<quad, PIXELS * ROWS4>;
var<workgroup> asked: array<quad, PIXELS * COLUMNS>;

@compute @workgroup_size(THREADS)
fn main(@builtin(local_invocation_index) thread: u32, @builtin(workgroup_id) group: vec3u) {
    let column = thread % COLUMNS;
    let row = thread / COLUMNS * OWN4;
    let first_row = group.x / COLUMN_TILES * ROWS4;
    let first_column = group.x % COLUMN_TILES * COLUMNS;
    var x$i = vec4f();
    var y$i = vec4f();
    var z$i = vec4f();
    var w$i = vec4f();
    for (var picture = group.z * PICTURES; picture < (group.z + 1) * PICTURES; picture++) {
        for (var first = 0u; first < OUT_HEIGHT * OUT_WIDTH; first += PIXELS) {
            workgroupBarrier();
            for (var index = thread; index < PIXELS * ROWS4; index += THREADS) {
                let out = first + index / ROWS4;
                let tap = (first_row + index % ROWS4) / DEPTH4;
                let channel = (first_row + index % ROWS4) % DEPTH4;
                let place = vec2i(vec2u(out / OUT_WIDTH, out % OUT_WIDTH) * STRIDE + vec2u(tap / K, tap % K)) - i32(PAD);
                var value = vec4f();
                if (out < OUT_HEIGHT * OUT_WIDTH && all(place >= vec2i()) && all(place < vec2i(HEIGHT, WIDTH))) {
                    value = maps[((picture * HEIGHT + u32(place.x)) * WIDTH + u32(place.y)) * DEPTH4 + channel];
                }
                seen[index] = quad(value);
            }
            for (var index = thread; index < PIXELS * COLUMNS; index += THREADS) {
                let out = first + index / COLUMNS;
                var value = vec4f();
                if (out < OUT_HEIGHT * OUT_WIDTH) {
                    value = gradient[(picture * OUT_HEIGHT * OUT_WIDTH + out) * OUT4 + first_column + index % COLUMNS];
                }
                value *= f32(SCALE); // HALF
                asked[index] = quad(value);
            }
            workgroupBarrier();
            var part_x$i = quad(); // HALF
            var part_y$i = quad(); // HALF
            var part_z$i = quad(); // HALF
            var part_w$i = quad(); // HALF
            for (var pixel = 0u; pixel < PIXELS; pixel++) {
                let dy = asked[pixel * COLUMNS + column];
                let seen$i = seen[pixel * ROWS4 + row + $i];
                PART_x$i = seen$i.x * dy + PART_x$i;
                PART_y$i = seen$i.y * dy + PART_y$i;
                PART_z$i = seen$i.z * dy + PART_z$i;
                PART_w$i = seen$i.w * dy + PART_w$i;
            }
            x$i += vec4f(part_x$i) / f32(SCALE); // HALF
            y$i += vec4f(part_y$i) / f32(SCALE); // HALF
            z$i += vec4f(part_z$i) / f32(SCALE); // HALF
            w$i += vec4f(part_w$i) / f32(SCALE); // HALF
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
