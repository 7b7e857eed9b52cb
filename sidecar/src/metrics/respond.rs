//! What is answered to whoever scrapes: OpenMetrics where it is liked better, the Prometheus text otherwise.
//!
//! Source: Prometheus's "Exposition formats" and OpenMetrics 1.0.0, for the media types; RFC 9110, section 12.5.1, for `Accept`.

use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::Metrics;

/// Media type of the Prometheus text format.
const TEXT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Media type of OpenMetrics, which whoever scrapes asks for to see which traces measurements were made in.
const OPEN_METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl Metrics {
    /// The answer to a scrape with these headers.
    pub(crate) fn respond(&self, headers: &HeaderMap) -> Response {
        if wants_open_metrics(headers) {
            return (StatusCode::OK, [(CONTENT_TYPE, OPEN_METRICS_TYPE)], self.render_open()).into_response();
        }
        let (status, text) = match self.render() {
            Ok(text) => (StatusCode::OK, text),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("# {error}\n")),
        };
        (status, [(CONTENT_TYPE, TEXT_TYPE)], text).into_response()
    }
}

/// Prometheus names first what it likes best, so the first of the two types that it names is what it gets.
fn wants_open_metrics(headers: &HeaderMap) -> bool {
    let texts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let types = texts.flat_map(|text| text.split(',')).map(|range| range.split(';'));
    let mut types = types.filter_map(|mut parts| Some((parts.next()?.trim().to_ascii_lowercase(), parts)));
    let first = types.find(|(name, _)| name == "application/openmetrics-text" || name == "text/plain");
    first.is_some_and(|(name, mut parameters)| {
        let fits = |parameter: &str| match parameter.trim().split_once('=') {
            Some(("version", version)) => version == "1.0.0",
            Some(("q", quality)) => quality.parse::<f32>().is_ok_and(|quality| quality > 0.0),
            _ => true,
        };
        name != "text/plain" && parameters.all(fits)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_the_type_that_it_names() {
        let metrics = Metrics::new().unwrap();
        let types = [("application/openmetrics-text", OPEN_METRICS_TYPE), ("text/plain", TEXT_TYPE)];
        for (accept, expected) in types {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            let answer = metrics.respond(&headers);
            assert_eq!(answer.status(), StatusCode::OK, "{accept}");
            assert_eq!(answer.headers()[CONTENT_TYPE], expected);
        }
    }

    #[test]
    fn gives_openmetrics_to_whoever_likes_it_better_than_the_prometheus_text() {
        let wants = |accept: &str| {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            wants_open_metrics(&headers)
        };
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for yes in [prometheus, "application/openmetrics-text", "Application/OpenMetrics-Text; version=1.0.0"]
        {
            assert!(wants(yes), "{yes}");
        }
        let others = ["*/*", "text/plain", "text/html,*/*", "", ",;=", "application/openmetrics-text;q=0"];
        let older = "application/openmetrics-text;version=0.0.1";
        let worse = "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5";
        for no in others.into_iter().chain([older, worse]) {
            assert!(!wants(no), "{no}");
        }
        assert!(!wants_open_metrics(&HeaderMap::new()));
    }
}
