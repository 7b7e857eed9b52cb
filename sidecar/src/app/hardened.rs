//! What the application and the process that it runs in tell each other.

use super::App;
use crate::hardening::Report;
use crate::telemetry::LogLines;

impl App {
    /// Says on the admin port and in the metrics what the process gave up before this application was built.
    pub fn hardened(&self, report: Report) {
        self.parts.status.hardened(report, &self.parts.metrics);
    }

    /// Sends the log lines of this process to the OpenTelemetry Collector, too, where the configuration wants it.
    pub fn export_lines(&self, lines: &LogLines) {
        self.parts.telemetry.take(lines);
    }
}
