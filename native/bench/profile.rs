//! Time of each kernel operation of a workload.

use std::time::Instant;

use otjr::kernel::profile;

/// Repeats the work while recording, and prints the time of each operation in one repetition.
pub fn report(repetitions: usize, mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let begin = Instant::now();
    profile::start();
    let worked = (0..repetitions).try_for_each(|_| work());
    let mut entries = profile::stop();
    let wall = begin.elapsed().as_secs_f64();
    worked?;
    entries.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let n = repetitions as f64;
    let row = |name: &str, shape: &str, calls: String, seconds: f64, rate: String| {
        let (ms, share) = (1e3 * seconds / n, 100.0 * seconds / wall);
        println!("  {name:24} {shape:40} {calls:>7} {ms:>10.3} {share:>5.1} % {rate:>9}");
    };
    println!("  {:24} {:40} {:>7} {:>10} {:>7} {:>9}", "operation", "shape", "calls", "ms", "share", "GFLOP/s");
    for entry in &entries {
        let rate = 2e-9 * entry.multiply_adds as f64 / entry.seconds;
        let rate = if entry.multiply_adds == 0 { String::new() } else { format!("{rate:.1}") };
        row(entry.name, &entry.shape, format!("{:.0}", entry.calls as f64 / n), entry.seconds, rate);
    }
    let rest = wall - entries.iter().map(|entry| entry.seconds).sum::<f64>();
    row("everything else", "", String::new(), rest, String::new());
    Ok(())
}
