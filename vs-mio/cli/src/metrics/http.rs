//! As much of HTTP as a scraper needs: one request on a connection, and its answer.

/// Bytes of a request, headers included.
pub(super) const REQUEST_BYTES_MAX: usize = 8192;
/// Headers of a request.
const HEADERS_MAX: usize = 64;

/// What somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// The metrics; perhaps without the body.
    Metrics { is_head: bool },
    /// What is not here, and the answer to that.
    Wrong(Wrong),
}

/// Why there is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    Malformed,
    Elsewhere,
    Method,
    TooLong,
    /// The process did not say what it sees.
    Late,
}

/// Reads what has arrived of a request; `None`: it goes on.
pub(super) fn read(bytes: &[u8]) -> Option<Request> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    let wrong = match request.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => match (request.method, request.path) {
            (Some(method), Some(path)) if path.split('?').next() == Some("/metrics") => {
                match method {
                    "GET" => return Some(Request::Metrics { is_head: false }),
                    "HEAD" => return Some(Request::Metrics { is_head: true }),
                    _ => Wrong::Method,
                }
            }
            _ => Wrong::Elsewhere,
        },
        Ok(httparse::Status::Partial) if bytes.len() < REQUEST_BYTES_MAX => return None,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => Wrong::TooLong,
        Err(_) => Wrong::Malformed,
    };
    Some(Request::Wrong(wrong))
}

/// The answer with the metrics.
pub(super) fn metrics(text: &str, is_head: bool) -> Vec<u8> {
    let media = "text/plain; version=0.0.4; charset=utf-8";
    let mut answer = head("200 OK", media, text.len(), "");
    if !is_head {
        answer.push_str(text);
    }
    answer.into_bytes()
}

/// The answer without them.
pub(super) fn wrong(why: Wrong) -> Vec<u8> {
    let (status, more, text) = match why {
        Wrong::Malformed => ("400 Bad Request", "", "this is no request of HTTP/1\n"),
        Wrong::Elsewhere => ("404 Not Found", "", "metrics are at /metrics\n"),
        Wrong::Method => ("405 Method Not Allowed", "Allow: GET, HEAD\r\n", "ask with GET\n"),
        Wrong::TooLong => ("431 Request Header Fields Too Large", "", "the request is too long\n"),
        Wrong::Late => {
            ("503 Service Unavailable", "", "the process does not say in time what it sees\n")
        }
    };
    (head(status, "text/plain; charset=utf-8", text.len(), more) + text).into_bytes()
}

fn head(status: &str, media: &str, len: usize, more: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media}\r\nContent-Length: {len}\r\n{more}\
         Connection: close\r\n\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_once_it_is_complete() {
        let whole = b"GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n";
        for len in 0..whole.len() {
            assert_eq!(read(&whole[..len]), None, "after {len} bytes");
        }
        assert_eq!(read(whole), Some(Request::Metrics { is_head: false }));
        let head = b"HEAD /metrics HTTP/1.0\r\n\r\n";
        assert_eq!(read(head), Some(Request::Metrics { is_head: true }));
    }

    #[test]
    fn other_requests_are_told_why_not() {
        let long = [&b"GET /metrics HTTP/1.1\r\nA: "[..], &[b'a'; REQUEST_BYTES_MAX]].concat();
        let many = ["GET /metrics HTTP/1.1\r\n", &"A: a\r\n".repeat(HEADERS_MAX + 1), "\r\n"];
        for (bytes, why, status) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], Wrong::Elsewhere, "404"),
            (b"POST /metrics HTTP/1.1\r\n\r\n", Wrong::Method, "405"),
            (b"VSM\0\0\0\0", Wrong::Malformed, "400"),
            (b"GET /metrics HTTP/2.0\r\n\r\n", Wrong::Malformed, "400"),
            (&long, Wrong::TooLong, "431"),
            (many.concat().as_bytes(), Wrong::TooLong, "431"),
        ] {
            assert_eq!(read(bytes), Some(Request::Wrong(why)));
            let answer = String::from_utf8(wrong(why)).expect("UTF-8");
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
    }

    #[test]
    fn the_length_is_that_of_the_body() {
        let answer = String::from_utf8(metrics("a 1\n", false)).expect("UTF-8");
        assert!(answer.contains("Content-Length: 4\r\n") && answer.ends_with("\r\n\r\na 1\n"));
        let answer = String::from_utf8(metrics("a 1\n", true)).expect("UTF-8");
        assert!(answer.contains("Content-Length: 4\r\n") && answer.ends_with("\r\n\r\n"));
    }
}
