// One pass over feature maps with factors per channel and, for some passes, sums over pixels. PART is the number of
// pixels of an image that a workgroup reads. channels.rs adds the buffers and replaces the comments in capitals by the
// code of the pass.

var<workgroup> partial_sums: array<vec4f, THREADS>;

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
        //PIXEL
    }
    //SUMS
}

// Tree reduction over the rows of a workgroup; the threads of the first row return the sum.
fn total(thread: u32, value: vec4f) -> vec4f {
    workgroupBarrier();
    partial_sums[thread] = value;
    for (var rows = ROWS / 2u; rows > 0u; rows /= 2u) {
        workgroupBarrier();
        if (thread < rows * COLUMNS) {
            partial_sums[thread] += partial_sums[thread + rows * COLUMNS];
        }
    }
    return partial_sums[thread];
}
