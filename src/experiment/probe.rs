//! The smallest HTTP client that can ask a node whether it is ready and what it counts.
//!
//! One request per connection, HTTP/1.0 so that the answer is never chunked. It is used some ten
//! times in a trial, never for the load.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Status code and body of `GET path`. `timeout` bounds each step: connect, send, receive.
pub fn get(address: SocketAddr, path: &str, timeout: Duration) -> Result<(u16, String), Error> {
    let mut stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let malformed = || Error::new(ErrorKind::InvalidData, "the answer is not HTTP");
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    Ok((status.ok_or_else(malformed)?, body.to_string()))
}

/// The counters of a Prometheus page, by name; samples of one name are summed over their labels.
///
/// Counters are what ends in `_total`; histograms add `_sum` and `_count`. Gauges are no deltas and
/// are left out.
pub fn counters(page: &str) -> BTreeMap<String, f64> {
    samples(page, is_counter)
}

/// The gauges of a Prometheus page, by name; samples of one name are summed over their labels.
pub fn gauges(page: &str) -> BTreeMap<String, f64> {
    samples(page, |name| !is_counter(name) && !name.ends_with("_bucket"))
}

fn is_counter(name: &str) -> bool {
    ["_total", "_sum", "_count"].iter().any(|end| name.ends_with(end))
}

fn samples(page: &str, wanted: impl Fn(&str) -> bool) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for line in page.lines().filter(|line| line.starts_with("quorate_")) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let name = series.split('{').next().unwrap_or(series);
        if let (true, Ok(value)) = (wanted(name), value.parse::<f64>()) {
            *all.entry(name.to_string()).or_insert(0.0) += value;
        }
    }
    all
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn status_and_body_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 256];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(b"HTTP/1.0 503 Busy\r\nX: y\r\n\r\nnot yet\n").unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let answer = get(address, "/health/ready", Duration::from_secs(5)).unwrap();
        assert_eq!(answer, (503, "not yet\n".to_string()));
        assert!(server.join().unwrap().starts_with("GET /health/ready HTTP/1.0\r\n"));
    }

    #[test]
    fn counters_are_summed_over_labels_and_gauges_left_out() {
        let page = "# TYPE quorate_requests counter\n\
                    quorate_requests_total{kind=\"read\"} 3\n\
                    quorate_requests_total{kind=\"write\"} 4\n\
                    quorate_queue_length 9\n\
                    quorate_sync_seconds_sum 0.5\n\
                    process_total 1\n";
        let expected = [
            ("quorate_requests_total".to_string(), 7.0),
            ("quorate_sync_seconds_sum".to_string(), 0.5),
        ];
        assert_eq!(counters(page), expected.into());
    }
}
