//! Figures of one table.

use std::time::Duration;

/// What was measured on one way.
pub(crate) struct Measured {
    name: &'static str,
    latencies: Vec<Duration>,
    took: Duration,
}

impl Measured {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, latencies: Vec::new(), took: Duration::ZERO }
    }

    pub(crate) fn add(&mut self, latencies: Vec<Duration>, took: Duration) {
        self.latencies.extend(latencies);
        self.took += took;
    }

    fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }
}

fn quantile(sorted: &[Duration], share: f64) -> f64 {
    let place = ((sorted.len() - 1) as f64 * share).round() as usize;
    sorted[place].as_secs_f64() * 1e6
}

/// Prints one table; the ratios are to the direct calls of the same run.
pub(crate) fn print(concurrency: usize, measured: &[Measured]) {
    println!("\n{concurrency} workers");
    println!(
        "{:<8} {:>9} {:>10} {:>9} {:>9} {:>9} {:>9} {:>10}",
        "way", "calls", "calls/s", "p50 us", "p95 us", "p99 us", "p50 added", "throughput"
    );
    let mut direct = None;
    for way in measured {
        let mut sorted = way.latencies.clone();
        sorted.sort_unstable();
        let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| quantile(&sorted, share));
        let (base, rate) = *direct.get_or_insert((p50, way.rate()));
        println!(
            "{:<8} {:>9} {:>10.0} {:>9.0} {:>9.0} {:>9.0} {:>6.0} us {:>9.2}x",
            way.name,
            sorted.len(),
            way.rate(),
            p50,
            p95,
            p99,
            p50 - base,
            way.rate() / rate
        );
    }
}

/// Says how much of the strict route's throughput mutual TLS leaves.
pub(crate) fn print_ratio(measured: &[Measured]) {
    let rate = |name| measured.iter().find(|way| way.name == name).map(Measured::rate);
    if let (Some(plain), Some(secured)) = (rate("strict"), rate("mtls")) {
        println!("mutual TLS leaves {:.1} % of the strict route's throughput", 100.0 * secured / plain);
    }
}
