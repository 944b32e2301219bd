// Something for each channel of maps, and its sums over pixels. `PART` is a workgroup's share of a picture's pixels.
// The lines between are written by channels.rs: buffers, then what is done with each quad of channels.

var<workgroup> partial: array<vec4f, THREADS>;

@compute @workgroup_size(THREADS)
fn main(
    @builtin(local_invocation_index) thread: u32,
    @builtin(workgroup_id) group: vec3u,
    @builtin(num_workgroups) groups: vec3u,
) {
    let column = group.z * COLUMNS + thread % COLUMNS;
    let row = thread / COLUMNS;
    //FACTORS
    let end = min((group.x + 1) * PART, PIXELS);
    for (var pixel = group.x * PART + row; pixel < end; pixel += ROWS) {
        let at = (group.y * PIXELS + pixel) * DEPTH4 + column;
        //EACH
    }
    //SUMS
}

// The sum over the rows of a workgroup, in the first of them.
fn total(thread: u32, value: vec4f) -> vec4f {
    workgroupBarrier();
    partial[thread] = value;
    for (var rows = ROWS / 2u; rows > 0u; rows /= 2u) {
        workgroupBarrier();
        if (thread < rows * COLUMNS) {
            partial[thread] += partial[thread + rows * COLUMNS];
        }
    }
    return partial[thread];
}
