// A pass over maps with factors for each channel, and sums over pixels; PART is a workgroup's share of a picture's pixels.
// channels.rs puts the pass in place of the words in capitals, and the buffers above.

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
