//! The programs' allocator: glibc's gives buffers of some MB back to the system and asks for them anew at every step, and
//! the page faults of that were a third of an attack's time.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
