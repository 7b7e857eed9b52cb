//! What the application says of the process that it runs in.

use super::App;
use crate::hardening::Report;

impl App {
    /// Says on the admin port and in the metrics what the process gave up before this application was built.
    pub fn hardened(&self, report: Report) {
        self.parts.status.hardened(report, &self.parts.metrics);
    }
}
