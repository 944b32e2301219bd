//! The allocator of the programs. glibc's allocator returns buffers of some MB to the system and requests them again at
//! every step; the page faults took a third of the time of an attack.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
