// The gradient of a weight: for each tap, channel and output channel the sum over pixels of what the tap sees times
// the gradient of the output. A workgroup has a tile of taps and channels (rows) by output channels (columns), and some
// of the pictures; the parts are added afterwards. A line with $i is repeated for each four of a thread's rows.

@group(0) @binding(0) var<storage, read_write> maps: array<vec4f>; // [B, HEIGHT, WIDTH, DEPTH4]
@group(0) @binding(1) var<storage, read_write> gradient: array<vec4f>; // [B, OUT_HEIGHT, OUT_WIDTH, OUT4]
@group(0) @binding(2) var<storage, read_write> result: array<vec4f>; // [parts, K * K * 4 DEPTH4, OUT4]

var<workgroup> seen: array<vec4f, PIXELS * ROWS4>;
var<workgroup> asked: array<vec4f, PIXELS * COLUMNS>;

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
                seen[index] = value;
            }
            for (var index = thread; index < PIXELS * COLUMNS; index += THREADS) {
                let out = first + index / COLUMNS;
                var value = vec4f();
                if (out < OUT_HEIGHT * OUT_WIDTH) {
                    value = gradient[(picture * OUT_HEIGHT * OUT_WIDTH + out) * OUT4 + first_column + index % COLUMNS];
                }
                asked[index] = value;
            }
            workgroupBarrier();
            for (var pixel = 0u; pixel < PIXELS; pixel++) {
                let dy = asked[pixel * COLUMNS + column];
                let seen$i = seen[pixel * ROWS4 + row + $i];
                x$i = seen$i.x * dy + x$i;
                y$i = seen$i.y * dy + y$i;
                z$i = seen$i.z * dy + z$i;
                w$i = seen$i.w * dy + w$i;
            }
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
