//! Peak memory of this process.

/// Returns the peak memory in bytes, or `None` if the system does not report it.
///
/// The value never decreases, so only that of the first workload of a process is exact.
pub fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1024)
}
